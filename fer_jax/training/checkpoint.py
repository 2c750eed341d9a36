"""Checkpoints of one member: `latest` (everything, to resume) and `best` (what predicts).

Of a member that has ended `latest` is its record alone.
"""

from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from fer_jax.errors import UserError
from fer_jax.training import processes
from fer_jax.training.state import TrainState


class MemberCheckpoints:
    """One member's folder below a run's `checkpoints/`.

    A save is whole or absent: orbax writes beside and renames. Positions are steps of the whole run
    (epoch times steps an epoch, plus the step in the epoch). The last two positions are kept, so
    that the members that train together and are killed in the middle of saving have one in common.

    Of several processes the first alone writes and reads `latest` and tells the others, which need
    not see the folder; all of them make the same calls. `best` is read by whoever asks for it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._first = processes.is_first()
        if self._first:
            self._latest = _manager(folder / 'latest', keep=2)
            self._best = _manager(folder / 'best', keep=1)

    def positions(self) -> list[int]:
        """Positions that can be restored, ascending."""
        return processes.tell(sorted(self._latest.all_steps()) if self._first else [])

    def save_latest(self, position: int, state: TrainState, record: dict) -> None:
        """Saves in the background; `record` is JSON (history, position in the epoch)."""
        if not self._first:
            return
        self._latest.save(
            position,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), record=ocp.args.JsonSave(record)
            ),
            force=True,
        )

    def save_finished(self, position: int, record: dict) -> None:
        """Saves the record of a member that has ended, and drops every state, which none resumes.

        Of a network's own size the states are three times, with Adam's moments, and two are kept.
        """
        if not self._first:
            return
        args = ocp.args.Composite(record=ocp.args.JsonSave(record))
        self._latest.save(position, args=args, force=True)
        self._latest.wait_until_finished()
        for earlier in self._latest.all_steps():
            if earlier != position:
                self._latest.delete(earlier)

    def restore_latest(self, position: int, like: TrainState) -> tuple[TrainState, dict]:
        """Reads the state (to the host) and the record saved at a position.

        Args:
          like: shapes of the state.
        """
        state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
        if self._first:
            args = ocp.args.Composite(state=ocp.args.StandardRestore(state))
            state = self._latest.restore(position, args=args).state
        return processes.send(state), self.record(position)

    def record(self, position: int) -> dict:
        """Reads the record alone."""
        if not self._first:
            return processes.tell({})
        args = ocp.args.Composite(record=ocp.args.JsonRestore())
        return processes.tell(self._latest.restore(position, args=args).record)

    def save_best(self, epoch: int, params: dict, batch_stats: dict) -> None:
        """Saves what predicts: parameters (Lookahead's slow ones) and batch statistics."""
        if not self._first:
            return
        if (
            epoch in self._best.all_steps()
        ):  # a resumed run comes by here again, with the same values
            self._best.delete(epoch)
        network = {'params': params, 'batch_stats': batch_stats}
        self._best.save(epoch, args=ocp.args.StandardSave(network), force=True)

    def restore_best(self) -> tuple[int, dict]:
        """Reads the epoch and {'params', 'batch_stats'} to the host.

        Raises:
          UserError: no network is there, as in a search's trials but the best.
        """
        best = self._best if self._first else _manager(self.folder / 'best', keep=1)
        epoch = best.latest_step()
        if epoch is None:
            raise UserError(
                f'{self.folder / "best"} has no network: of a search only the best trial keeps '
                'all of them; train its setting as a run of its own'
            )
        return epoch, jax.device_get(best.restore(epoch, args=ocp.args.StandardRestore()))

    def discard_after(self, position: int) -> None:
        """Drops positions past the one that training resumes from; they will be written again."""
        for later in self.positions():
            if later > position and self._first:
                self._latest.delete(later)

    def wait(self) -> None:
        """Returns when what was given to save is on the disk."""
        if self._first:
            self._latest.wait_until_finished()
            self._best.wait_until_finished()

    def close(self) -> None:
        """Waits and releases the background threads."""
        if self._first:
            self._latest.close()
            self._best.close()


def read_best(folder: Path) -> tuple[int, dict]:
    """Reads the best epoch of a member, from 1, and its {'params', 'batch_stats'} then.

    Args:
      folder: the member's, below `checkpoints/`.
    """
    checkpoints = MemberCheckpoints(folder)
    try:
        return checkpoints.restore_best()
    finally:
        checkpoints.close()


def _manager(folder: Path, keep: int) -> ocp.CheckpointManager:
    own = jax.process_index()  # orbax then waits for no other process
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f'process-{own}'
    )
    folder.mkdir(parents=True, exist_ok=True)
    options = ocp.CheckpointManagerOptions(
        preservation_policy=checkpoint_managers.LatestN(keep),
        create=False,
        multiprocessing_options=alone,
    )
    return ocp.CheckpointManager(folder.absolute(), options=options)
