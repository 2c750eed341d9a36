"""The training loop: members, epochs, steps; evaluation, early stop, resumption."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from fer_jax.data.clips import ClipSet
from fer_jax.errors import Interrupted, UserError
from fer_jax.training import memory, processes
from fer_jax.training import population as pop
from fer_jax.training.members import Member, Recipe, per_member
from fer_jax.training.mesh import Devices, make_layout
from fer_jax.training.optimizers import evaluated_weights
from fer_jax.training.progress import TrainingProgress
from fer_jax.training.record import MemberRecord
from fer_jax.training.state import Resident, Sums
from fer_jax.training.step import System
from fer_jax.training.stopping import Stop, stop_signal
from fer_jax.training.transfer import graft


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Settings of how long and how members train: `train` of the config.

    Attributes:
      epochs: at most.
      patience: a member ends when its validation clips have chosen no later epoch for so many; 0
        never.
      checkpoint_every: epochs between checkpoints.
      evaluate_batch: clips in an evaluation step.
      members_at_once, steps_per_call: see mesh.make_layout.
      keep_states: members that have ended keep their states, from which more epochs can go on.
    """

    epochs: int
    patience: int = 0
    checkpoint_every: int = 1
    evaluate_batch: int = 128
    members_at_once: int = 0
    steps_per_call: int = 0
    keep_states: bool = False

    def __post_init__(self):
        for name in ('epochs', 'checkpoint_every', 'evaluate_batch'):
            if getattr(self, name) < 1:
                raise UserError(f'train.{name} is {getattr(self, name)}: give at least 1')


def train(
    system: System,
    members: Sequence[Member],
    clips: ClipSet,
    recipe: Recipe,
    schedule: Schedule,
    folder: Path,
    *,
    devices: Devices | None = None,
    on_epoch: Callable[[MemberRecord], None] = lambda record: None,
    on_members_done: Callable[[Sequence[MemberRecord]], None] = lambda records: None,
) -> list[MemberRecord]:
    """Trains a population to its end, from where an earlier call on the same folder got to.

    A member whose loss or probabilities are not finite after an epoch has diverged: it ends there,
    its record says so, and the others go on as if it were not there. With several processes all of
    them call this with the same arguments, and all have the records; the first alone has the
    probabilities of epochs that an earlier call trained, and writes.

    Args:
      clips: equalised; resident on the devices.
      folder: one subfolder a member is made in it.
      on_epoch: called with a member's record after each epoch, and once where it was taken up
        again.
      on_members_done: called with the records of members that have ended and are saved: first those
        that an earlier call had ended, then those that trained side by side. What it raises ends
        the training there.

    Returns:
      The members' records, in their order.

    Raises:
      Interrupted: SIGTERM or Ctrl-C came; everything is saved and the same call goes on from there.
      UserError: a single member does not fit into a device's memory.
    """
    layout = make_layout(
        len(members),
        devices,
        members_at_once=schedule.members_at_once,
        steps_per_call=schedule.steps_per_call,
    )
    limit = memory.available(layout.mesh.local_devices)  # before the dataset takes its part
    resident = Resident.of(clips)
    population = pop.Population(system, resident, layout)
    records = [
        MemberRecord(
            *(m, clips.label, len(clips.classes), schedule.epochs, folder / f'{m.index:03}'),
            schedule.patience,
        )
        for m in members
    ]
    steps = {m.index: recipe.steps(m, clips) for m in members}
    total = sum(steps.values()) * schedule.epochs
    with contextlib.ExitStack() as stack:
        for record in records:
            stack.callback(record.checkpoints.close)  # waits for what is being written
        progress, stop = (
            stack.enter_context(TrainingProgress(total, evaluates=True)),
            stack.enter_context(stop_signal()),
        )
        waiting = []
        for record in records:
            if record.finished():
                on_epoch(record)
                progress.skip(steps[record.member.index] * schedule.epochs)
            else:
                waiting.append(record)
        on_members_done([record for record in records if record not in waiting])
        if waiting:
            progress.compiling()
        for those in _side_by_side(
            population, waiting, clips, recipe, schedule, steps, limit, progress.say
        ):
            together = _Together(population, those, clips, recipe, schedule, steps)
            together.run(progress, stop, on_epoch)
            on_members_done(together.records)
        progress.describe('trained')
    return records


# Bytes of states on the host that are being written while the next is given, besides one member's.
WRITTEN_AT_ONCE = 4 << 30
# A checkpoint's position is epoch * EPOCH + step in the epoch, whoever trains beside the member.
EPOCH = 1_000_000


def _side_by_side(
    population: pop.Population,
    records: Sequence[MemberRecord],
    clips: ClipSet,
    recipe: Recipe,
    schedule: Schedule,
    steps: Mapping[int, int],
    limit: int | None,
    say: Callable[[str], None],
) -> Iterator[list[MemberRecord]]:
    """Groups records that train side by side: as many as fit, and as can go on together.

    Args:
      steps: member's index -> steps in an epoch.
      limit: bytes free on each device; None where unknown.
    """
    if not records:
        return
    group, common = [], set()
    size = population.layout.members_at_once
    if limit is not None:
        members = [record.member for record in records]
        size = _members_at_once(population, members, clips, recipe, schedule, steps, limit, say)
    for record in records:
        positions = set(record.checkpoints.positions())
        # Members that have not begun do not train beside some that have.
        shared = positions & common if common and positions else positions == common
        if group and (len(group) == size or not shared):
            yield group
            group = []
        common = common & positions if group else positions
        group.append(record)
    yield group


def _members_at_once(
    population: pop.Population,
    members: Sequence[Member],
    clips: ClipSet,
    recipe: Recipe,
    schedule: Schedule,
    steps: Mapping[int, int],
    limit: int,
    say: Callable[[str], None],
) -> int:
    """Counts who trains at once, as many as the layout and `limit` allow, and says it.

    Arguments as of `_side_by_side`.
    """
    layout = population.layout
    longest = max(steps[member.index] for member in members)
    steps_per_call = min(layout.steps_per_call, longest)
    batches = recipe.batches(members[:1], clips, 1, [True])
    batches = jax.tree.map(lambda x: _fill(x[:, :steps_per_call], steps_per_call), batches)
    own = per_member(members[:1], [longest])
    evaluated_clips = max(1, *(len(m.evaluated) for m in members))

    @functools.cache
    def need(each):
        return population.bytes_needed(each, own, batches, evaluated_clips, schedule.evaluate_batch)

    across = layout.mesh.shape['member']
    size = memory.most_members_at_once(
        layout.members_at_once, across, need, processes.smallest(limit)
    )
    if size < min(schedule.members_at_once, layout.members_at_once):
        raise UserError(
            f'train.members_at_once is {schedule.members_at_once}, and {size} members fit into the '
            'memory: give 0 (automatic) or a smaller number'
        )
    rows, each = batches.clip.shape[2], -(-size // across)
    trained = f'each of {size} networks that train at once' if size > 1 else 'one network'
    on_cpu = layout.mesh.local_devices[0].platform == 'cpu'
    at_times = ' (at times up to three times that)' if on_cpu else ''  # docs/log.md, malloc
    say(
        f'a step takes {rows:,} clips of {trained}; on each device that needs '
        f'{memory.gib(need(each))}{at_times} besides the data, of {memory.gib(limit)} that are free'
    )
    return size


class _Together:
    """Members that train side by side."""

    def __init__(self, population, records, clips, recipe, schedule, steps):
        self.population, self.records, self.schedule = population, records, schedule
        self.clips, self.recipe = clips, recipe
        own = [record.member for record in records]
        self.steps = [steps[m.index] for m in own]
        self.longest = max(self.steps)
        # Where devices cannot share members evenly, idle copies of the last one fill up.
        missing = -len(own) % population.layout.mesh.shape['member']
        self.members = own + own[-1:] * missing
        total = [n * schedule.epochs for n in self.steps + self.steps[-1:] * missing]
        self.per_member = population.place(per_member(self.members, total))
        self._compiled = self._evaluated = False  # whether a first call of each has ended

    def run(self, progress: TrainingProgress, stop: Stop, on_epoch: Callable) -> None:
        """Trains the members from their newest common checkpoint to their end."""
        stop.safe = True
        state, sums, epoch, step = self._restore(on_epoch)
        if epoch > 1 or step:
            progress.say(f'{self._who()} goes on from epoch {epoch}, step {step + 1}')
        progress.skip(self._behind(epoch, step))
        while epoch <= self.schedule.epochs and not all(record.stopped for record in self.records):
            progress.describe(self._title(epoch))
            active = sum(n for n, r in zip(self.steps, self.records, strict=True) if not r.stopped)
            state, sums = self._train_epoch(state, sums, epoch, step, progress, stop)
            jax.block_until_ready(sums)
            # The first evaluation waits for the compiler: its time says nothing of the others.
            with progress.aside(evaluated_steps=active if self._evaluated else 0):
                evaluated, improved = self._evaluate(state, sums, epoch)
            self._evaluated = True
            for record in evaluated:
                if record.failed:
                    progress.say(_farewell(record))
                on_epoch(record)
            self._save_best(state, epoch, improved)
            done = epoch == self.schedule.epochs or all(record.stopped for record in self.records)
            if done or epoch % self.schedule.checkpoint_every == 0:
                self._save(state, self._no_sums(), epoch + 1, 0, finished=done)
            self._count_stopped(progress, epoch)
            sums, epoch, step = self._no_sums(), epoch + 1, 0
        for record in self.records:
            record.checkpoints.wait()

    def _train_epoch(self, state, sums, epoch, step, progress, stop):
        """Trains from step `step` to the last of one epoch."""
        active = [not record.stopped for record in self.records]
        active += [False] * (len(self.members) - len(active))
        batches = self.recipe.batches(self.members, self.clips, epoch, active)
        steps_per_call = self.population.layout.steps_per_call
        clips_of = batches.mask.sum(axis=(0, 2))
        while step < self.longest:
            part = jax.tree.map(
                lambda x, a=step: _fill(
                    x[:, a : a + steps_per_call], min(steps_per_call, self.longest)
                ),
                batches,
            )
            before = sums
            with contextlib.nullcontext() if self._compiled else progress.aside():
                state, sums = self.population.train(state, sums, self.per_member, part)
            self._compiled = True
            stop.safe = False
            jax.block_until_ready(before)  # one call runs while the next is made ready
            taken = min(steps_per_call, self.longest - step)
            member_steps = sum(a and step <= s < n for a, n in zip(active, self.steps, strict=False)
                               for s in range(step, step + taken))  # fmt: skip
            progress.advance(member_steps, int(clips_of[step : step + taken].sum()))
            step += taken
            if number := stop.now(sums):
                self._save(state, sums, epoch, step, finished=False)
                for record in self.records:
                    record.checkpoints.wait()
                raise Interrupted(
                    'everything is saved; start the same command again to go on', number
                )
        return state, sums

    def _evaluate(self, state, sums, epoch):
        """Evaluates after an epoch and adds it to the active members' records.

        Returns:
          Those records, and the numbers here of members whose best epoch it is.
        """
        evaluated = [member.evaluated for member in self.members]
        # Members that judge nothing pass one clip, of which nothing is kept.
        clip = np.zeros((len(evaluated), max(1, *map(len, evaluated))), np.int32)
        for row, own in zip(clip, evaluated, strict=True):
            row[: len(own)] = own
        probabilities = self.population.evaluate(
            state, self.per_member, clip, self.schedule.evaluate_batch
        )
        sums, rates = processes.fetch((sums, self.population.learning_rate(state, self.per_member)))
        evaluated_now, improved = [], []
        for i, record in enumerate(self.records):
            if record.stopped:
                continue
            count = float(sums.count[i])
            row = record.add_epoch(
                learning_rate=float(rates[i]),
                loss=float(sums.loss[i]) / count,
                accuracy=float(sums.correct[i]) / count,
                probabilities=probabilities[i, : len(evaluated[i])],
            )
            evaluated_now.append(record)
            if row is None:
                continue
            validated = 'validation_accuracy' in row
            best = record.best_epoch()
            if best == epoch and (validated or record.stopped):
                improved.append(i)
        return evaluated_now, improved

    def _save_best(self, state, epoch, improved):
        """Saves the networks that predict of the members whose best epoch it is."""
        if not improved:
            return
        network = evaluated_weights(state.params), evaluated_weights(state.batch_stats)
        for i, own in zip(improved, pop.apart(network, improved), strict=True):
            self.records[i].checkpoints.save_best(epoch, *own)

    def _behind(self, epoch, step):
        """Counts the steps that are taken, or never will be, where training goes on."""
        return sum(
            n * self.schedule.epochs if record.stopped else n * (epoch - 1) + min(step, n)
            for n, record in zip(self.steps, self.records, strict=True)
        )

    def _count_stopped(self, progress, epoch):
        for record, steps in zip(self.records, self.steps, strict=True):
            if record.stopped and epoch == (record.failed or len(record.history)):
                progress.skip(steps * (self.schedule.epochs - epoch))

    def _no_sums(self):
        return self.population.zero_sums(len(self.members))

    def _who(self):
        first, last = self.records[0].member, self.records[-1].member
        who = f'fold {first.fold_number} seed {first.seed}'
        if last is not first:
            who += f' to fold {last.fold_number} seed {last.seed}'
        return who

    def _title(self, epoch):
        return f'{self._who()} epoch {epoch}/{self.schedule.epochs}'

    def _save(self, state, sums, epoch, step, finished):
        """Saves every member at one position, once what was saved before is on the disk."""
        sums = processes.fetch(sums)
        for record in self.records:
            record.checkpoints.wait()
            record.flush()
        dropped = finished and not self.schedule.keep_states
        everyone = range(len(self.records))
        states = everyone if dropped else pop.apart(state, everyone)
        for i, (record, own_state) in enumerate(zip(self.records, states, strict=True)):
            own = [float(x[i]) for x in (sums.loss, sums.correct, sums.count)]
            saved = record.as_json(own, finished)
            position = epoch * EPOCH + step
            if dropped:
                record.checkpoints.save_finished(position, saved)
            else:
                size = sum(leaf.nbytes for leaf in jax.tree.leaves(own_state))
                earlier = i - 1 - WRITTEN_AT_ONCE // size
                if earlier >= 0:
                    self.records[earlier].checkpoints.wait()
                record.checkpoints.save_latest(position, own_state, saved)

    def _initial(self):
        """Makes fresh states with the networks that members start from put into them."""
        state = self.population.init(self.per_member)
        if all(member.start is None for member in self.members):
            return state
        count = len(self.members)
        own = (
            graft(fresh, member.start) if member.start else fresh
            for member, fresh in zip(self.members, pop.apart(state, range(count)), strict=True)
        )
        return self.population.join(own, count)

    def _restore(self, on_epoch):
        """Restores state, sums, epoch and step of the newest common position, or new ones."""
        common = set.intersection(*(set(record.checkpoints.positions()) for record in self.records))
        if not common:
            return self._initial(), self._no_sums(), 1, 0
        position = max(common)
        like = self.population.shapes(self.per_member)
        like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), like)
        missing = len(self.members) - len(self.records)
        sums = []

        def states():
            for record in self.records:
                own, saved = record.checkpoints.restore_latest(position, like)
                record.restore(saved)
                record.checkpoints.discard_after(position)
                on_epoch(record)
                sums.append(saved['sums'])
                yield own
            for _ in range(missing):
                yield own

        state = self.population.join(states(), len(self.members))
        sums += [[0.0] * 3] * missing
        own_sums = Sums(*(np.array(column, np.float32) for column in zip(*sums, strict=True)))
        return state, self.population.place(own_sums), *divmod(position, EPOCH)


def _farewell(record: MemberRecord) -> str:
    member = record.member
    return (
        f'fold {member.fold_number} seed {member.seed} diverged in epoch {record.failed} and is '
        'left out; the others go on (a lower --config.optimizer.learning_rate may help)'
    )


def _fill(array: np.ndarray, steps: int) -> np.ndarray:
    """Fills the step axis (1) with empty steps, so that every call has one shape."""
    missing = steps - array.shape[1]
    return (
        np.pad(array, [(0, missing if i == 1 else 0) for i in range(array.ndim)])
        if missing
        else array
    )
