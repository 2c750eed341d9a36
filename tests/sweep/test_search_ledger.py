"""A study on a journal file, without training: handed out, taken over, counted once."""

import errno
import fcntl
import multiprocessing
import os
import threading
import time
import types

import optuna
import pytest

from fer_jax.errors import Interrupted, UserError
from fer_jax.sweep import ledger as ledgers
from fer_jax.sweep import snapshot, storage, trial, work, workers
from fer_jax.sweep.ledger import Ledger, TakenOver
from fer_jax.sweep.sampling import Sampling

KINDS = {
    'a': optuna.distributions.CategoricalDistribution((1, 2, 3)),
    'b': optuna.distributions.CategoricalDistribution(('x', 'y')),
}
PLAN = {'config': {'epochs': 3}}
ELSEWHERE = {'place': 'another host', 'pid': 1, 'begun': '1', 'id': 'other', 'host': 'other'}


def open_ledger(path, total=5, sampler='random', plan=PLAN, name='study', pruner='none'):
    store = storage.open_store(f'journal:{path}')
    how = Sampling(sampler, pruner)
    return Ledger(store, name, plan=plan, distributions=KINDS, sampling=how, total=total)


def states(ledger):
    return [trial.state.name for trial in ledger.trials()]


def test_trials_are_handed_out_until_there_are_as_many_as_asked_for(tmp_path):
    one, other = open_ledger(tmp_path / 'j'), open_ledger(tmp_path / 'j')
    numbers = []
    for worker in (one, other, one, other, one):
        claim = worker.claim()
        numbers.append(claim.number)
        assert set(claim.values) == {'a', 'b'} and not claim.resumed
        worker.tell(claim, 'COMPLETE', 0.5)
    assert numbers == [0, 1, 2, 3, 4]
    assert one.claim() is None and other.claim() is None
    assert one.finished() and states(other) == ['COMPLETE'] * 5
    # More may be asked for later.
    assert open_ledger(tmp_path / 'j', total=6).claim().number == 5


def test_what_another_worker_trains_is_left_alone_and_waited_for(tmp_path):
    one, other = open_ledger(tmp_path / 'j', total=1), open_ledger(tmp_path / 'j', total=1)
    claim = one.claim()
    assert other.claim() is None and not other.finished()
    one.tell(claim, 'PRUNED', reason='hopeless')
    assert other.finished()
    assert other.trials()[0].user_attrs['reason'] == 'hopeless'


def test_a_worker_that_says_so_leaves_its_trial_at_once(tmp_path):
    one, other = open_ledger(tmp_path / 'j', total=1), open_ledger(tmp_path / 'j', total=1)
    first = one.claim()
    one.note(first, folder='trial-0000')
    one.report(first, 0.5, 1)
    one.release(first)
    second = other.claim()
    assert second.number == 0 and second.values == first.values and second.resumed
    with pytest.raises(TakenOver):
        one.tell(first, 'COMPLETE', 0.1)
    with pytest.raises(TakenOver):
        one.report(first, 0.5, 2)
    other.tell(second, 'COMPLETE', 0.9)
    assert [trial.value for trial in one.trials()] == [0.9]


def work_and_die(path):
    ledger = open_ledger(path)
    ledger.claim()
    os._exit(9)


def test_a_worker_of_this_host_that_died_is_replaced_at_once(tmp_path):
    dead = multiprocessing.get_context('spawn').Process(target=work_and_die, args=(tmp_path / 'j',))
    dead.start()
    dead.join()
    assert dead.exitcode == 9
    ledger = open_ledger(tmp_path / 'j', total=2)
    first, second = ledger.claim(), ledger.claim()
    assert first.number == 0 and first.trial.user_attrs['deaths'] == 1
    assert second.number == 0, 'a claim that the storage cut short is given again'
    ledger.tell(second, 'COMPLETE', 0.5)
    assert ledger.claim().number == 1


def test_a_process_of_another_user_with_a_dead_worker_s_number_is_not_that_worker(monkeypatch):
    def kill(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, 'kill', kill)
    me = workers.this_process()
    assert workers.is_alive(me)
    assert not workers.is_alive({**me, 'begun': 'long ago'})
    monkeypatch.setattr(workers, '_begun', lambda pid: None)
    assert workers.is_alive(me)


def test_a_trial_that_kills_its_workers_is_given_up(tmp_path):
    ledger = open_ledger(tmp_path / 'j', total=2)
    claim = ledger.claim()
    gone = {**workers.this_process(), 'begun': 'never', 'id': 'gone', 'host': 'here'}
    for _ in range(ledgers.DEATHS - 1):
        claim.trial.set_user_attr('worker', gone)
        claim = ledger.claim()
        assert claim.number == 0
    claim.trial.set_user_attr('worker', gone)
    assert ledger.claim().number == 1
    assert states(ledger) == ['FAIL', 'RUNNING']
    assert '5 workers died' in ledger.trials()[0].user_attrs['reason']


def test_a_trial_that_trains_on_between_its_workers_deaths_is_not_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, 'HEARTBEAT_S', 0.01)
    ledger = open_ledger(tmp_path / 'j', total=1)
    gone = {**workers.this_process(), 'begun': 'never', 'id': 'gone', 'host': 'here'}

    def run(config, *, on_epoch, **options):
        for member in range(2):  # as where all folds train at once
            on_epoch(types.SimpleNamespace(
                member=types.SimpleNamespace(index=member), history=[{}] * trained
            ))  # fmt: skip
        deadline = time.monotonic() + 20
        while ledger.trials()[0].user_attrs.get('epochs', 0) < 2 * trained:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        raise Interrupted('killed')

    monkeypatch.setattr(trial.experiment, 'run', run)
    search = types.SimpleNamespace(setting=lambda values: None)
    for trained in range(1, ledgers.DEATHS + 3):  # noqa: B007  run reads it
        claim = ledger.claim()
        with pytest.raises(Interrupted):
            trial.run(search, ledger, claim, tmp_path, tmp_path)
        claim.trial.set_user_attr('worker', gone)
    for _ in range(ledgers.DEATHS - 1):
        claim = ledger.claim()
        assert claim.number == 0
        claim.trial.set_user_attr('worker', gone)
    assert ledger.claim() is None and states(ledger) == ['FAIL']


def test_a_worker_elsewhere_is_dead_when_its_beat_stands_still(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(ledgers.time, 'monotonic', lambda: now[0])
    ledger = open_ledger(tmp_path / 'j', total=1)
    claim = ledger.claim()
    claim.trial.set_user_attr('worker', ELSEWHERE)
    for beat in range(4):
        claim.trial.set_user_attr('beat', beat)
        assert ledger.claim() is None
        now[0] += 0.9 * ledgers.GRACE_S
        assert ledger.claim() is None
    now[0] += 0.2 * ledgers.GRACE_S
    assert ledger.claim().number == 0


def test_the_beat_is_written_while_the_block_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, 'HEARTBEAT_S', 0.01)
    ledger = open_ledger(tmp_path / 'j')
    claim = ledger.claim()
    with workers.Heartbeat(ledger.store, claim.trial):
        deadline = time.monotonic() + 20
        while ledger.trials()[0].user_attrs.get('beat', 0) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    beats = ledger.trials()[0].user_attrs['beat']
    time.sleep(0.05)
    assert ledger.trials()[0].user_attrs['beat'] == beats


def assert_taken_over(run, ledger, claim, folder, monkeypatch):
    """A trial that trains by `run` learns that another worker has it."""
    monkeypatch.setattr(trial.experiment, 'run', run)
    search = types.SimpleNamespace(setting=lambda values: None)
    said = trial.run(search, ledger, claim, folder, folder)
    assert said == 'trial 0: another worker has taken it over'


def test_a_worker_whose_trial_was_taken_over_beats_no_more_and_trains_no_further_epoch(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(workers, 'HEARTBEAT_S', 0.01)
    ledger = open_ledger(tmp_path / 'j')
    claim = ledger.claim()
    beats = []
    ended = types.SimpleNamespace(member=types.SimpleNamespace(index=0), history=[{}])

    def run(config, *, on_epoch, **options):
        on_epoch(ended)
        successor = optuna.Trial(ledger.study, claim.trial._trial_id)
        successor.set_user_attr('worker', ELSEWHERE)
        time.sleep(0.5)
        for _ in range(2):
            beats.append(ledger.trials()[0].user_attrs['beat'])
            time.sleep(0.1)
        on_epoch(ended)
        raise AssertionError('it went on')

    assert_taken_over(run, ledger, claim, tmp_path, monkeypatch)
    assert beats[0] == beats[1] and states(ledger)[0] == 'RUNNING'


def test_a_worker_that_is_cut_off_from_the_storage_writes_nothing_until_it_answers(
    tmp_path, monkeypatch, capsys
):
    assert workers.HEARTBEAT_S < workers.SILENT_S <= ledgers.GRACE_S / 2
    monkeypatch.setattr(workers, 'HEARTBEAT_S', 0.01)
    monkeypatch.setattr(workers, 'SILENT_S', 0.05)
    monkeypatch.setattr(storage, 'RETRY_S', 0.01)
    ledger = open_ledger(tmp_path / 'j')
    claim = ledger.claim()
    ended = types.SimpleNamespace(member=types.SimpleNamespace(index=0), history=[{}])
    reachable = ledger.store.storage.get_trial
    cut = threading.Event()

    def get_trial(*given, **named):
        if cut.is_set():
            raise OSError(errno.EHOSTUNREACH, 'no route')
        return reachable(*given, **named)

    def run(config, *, on_epoch, **options):
        successor = optuna.Trial(ledger.study, claim.trial._trial_id)
        monkeypatch.setattr(ledger.store.storage, 'get_trial', get_trial)
        on_epoch(ended)
        cut.set()
        successor.set_user_attr('worker', ELSEWHERE)
        time.sleep(0.2)
        threading.Timer(0.2, cut.clear).start()
        on_epoch(ended)
        raise AssertionError('it went on')

    assert_taken_over(run, ledger, claim, tmp_path, monkeypatch)
    assert 'does not answer' in capsys.readouterr().out


def claim_all(path, total, queue):
    ledger = open_ledger(path, total=total, sampler='grid')
    while (claim := ledger.claim()) is not None:
        queue.put((claim.number, claim.values))
        ledger.tell(claim, 'COMPLETE', 0.5)


def test_workers_that_hurry_share_a_grid_without_a_point_twice(tmp_path):
    context = multiprocessing.get_context('spawn')
    queue = context.Queue()
    given = [context.Process(target=claim_all, args=(tmp_path / 'j', 100, queue)) for _ in range(2)]
    for process in given:
        process.start()
    found = [queue.get(timeout=120) for _ in range(6)]
    for process in given:
        process.join()
    assert queue.empty() and [process.exitcode for process in given] == [0, 0]
    assert sorted(number for number, _ in found) == list(range(6))
    points = {tuple(values.values()) for _, values in found}
    assert points == {(a, b) for a in (1, 2, 3) for b in ('x', 'y')}


def test_a_setting_that_was_judged_is_recognised(tmp_path):
    ledger = open_ledger(tmp_path / 'j', total=30)
    seen = {}
    for _ in range(12):
        claim = ledger.claim()
        setting = tuple(claim.values.values())
        twin = claim.twin and claim.twin.number
        assert twin == seen.get(setting)
        seen.setdefault(setting, claim.number)
        ledger.tell(claim, 'COMPLETE', 0.5)
    assert len(seen) < 12


def test_the_pruner_compares_the_accuracy_so_far_with_that_of_others(tmp_path):
    ledger = open_ledger(tmp_path / 'j', total=9, pruner='median')
    for _ in range(5):  # a median needs five trials
        claim = ledger.claim()
        assert not ledger.report(claim, 0.9, 1)
        ledger.tell(claim, 'COMPLETE', 0.9)
    claim = ledger.claim()
    assert ledger.report(claim, 0.1, 1)
    ledger.release(claim)
    resumed = open_ledger(tmp_path / 'j', total=9, pruner='median').claim()
    assert resumed.number == claim.number
    again = open_ledger(tmp_path / 'j', total=9, pruner='median')
    assert not again.report(again.claim(), 0.95, 1)


def test_the_median_judges_a_trial_by_where_it_stands_and_not_by_its_luckiest_fold(tmp_path):
    ledger = open_ledger(tmp_path / 'j', total=8, pruner='median')
    for _ in range(6):
        claim = ledger.claim()
        for step in range(1, 11):
            ledger.report(claim, 0.9 if step == 1 else 0.8, step)
        ledger.tell(claim, 'COMPLETE', 0.8)
    lucky = ledger.claim()
    pruned = [ledger.report(lucky, 0.92 if step == 1 else 0.2, step) for step in range(1, 6)]
    assert pruned == [False, False, True, True, True]  # from a quarter of the members on
    ledger.tell(lucky, 'PRUNED')
    unlucky = ledger.claim()
    assert not any(ledger.report(unlucky, 0.81 - (step == 1), step) for step in range(1, 11))


def test_what_somebody_enqueued_is_tried_first(tmp_path):
    ledger = open_ledger(tmp_path / 'j', total=2)
    ledger.study.enqueue_trial({'a': 3, 'b': 'y'})
    assert not ledger.finished()
    claim = ledger.claim()
    assert claim.values == {'a': 3, 'b': 'y'}
    ledger.tell(claim, 'COMPLETE', 0.5)
    assert ledger.claim().number == 1


def test_another_plan_is_refused_with_what_differs(tmp_path):
    open_ledger(tmp_path / 'j')
    with pytest.raises(UserError, match='another plan: config.epochs is 4, there 3'):
        open_ledger(tmp_path / 'j', plan={'config': {'epochs': 4}})
    open_ledger(tmp_path / 'j', plan={'config': {'epochs': 4}}, name='second')


def test_a_folder_of_another_study_is_refused(tmp_path):
    snapshot.check_place(tmp_path / 'study', open_ledger(tmp_path / 'j'))
    snapshot.check_place(tmp_path / 'study', open_ledger(tmp_path / 'j'))
    with pytest.raises(UserError, match=r'holds another study \(study of journal:.*j\)'):
        snapshot.check_place(tmp_path / 'study', open_ledger(tmp_path / 'other'))
    with pytest.raises(UserError, match='no trial of the study study has ended'):
        snapshot.load(tmp_path / 'study')
    with pytest.raises(UserError, match='is no study and not empty'):
        snapshot.check_place(tmp_path, open_ledger(tmp_path / 'j'))


def test_workers_that_begin_together_make_one_folder(tmp_path, monkeypatch):
    looked, made, ended = threading.Event(), threading.Event(), threading.Event()
    main, kind_of = threading.main_thread(), snapshot.rundir.kind_of
    write_kind = snapshot.rundir.write_kind

    def look(folder):
        kind = kind_of(folder)
        if threading.current_thread() is main:
            looked.set()
            made.wait(1)
        return kind

    def make(folder, kind):
        write_kind(folder, kind)
        if threading.current_thread() is not main:
            made.set()
            ended.wait(2)

    def other():
        looked.wait(2)
        snapshot.check_place(tmp_path / 'study', open_ledger(tmp_path / 'j'))

    ledger = open_ledger(tmp_path / 'j')
    monkeypatch.setattr(snapshot.rundir, 'kind_of', look)
    monkeypatch.setattr(snapshot.rundir, 'write_kind', make)
    thread = threading.Thread(target=other)
    thread.start()
    try:
        snapshot.check_place(tmp_path / 'study', ledger)
    finally:
        ended.set()
        thread.join()
    assert snapshot.rundir.read_json(tmp_path / 'study/study.json')['identity'] == ledger.identity


def ended_study(tmp_path, number=4):
    """A study of complete trials of different values, and a plan of it."""
    ledger = open_ledger(tmp_path / 'j', total=number)
    for value in range(number):
        ledger.tell(ledger.claim(), 'COMPLETE', value / 10)
    search = types.SimpleNamespace(
        stamps=(), config=types.SimpleNamespace(name='small'), plan=lambda: PLAN
    )
    return search, ledger


def test_a_folder_that_cannot_be_written_is_no_storage_that_is_away(tmp_path, monkeypatch, capsys):
    search, ledger = ended_study(tmp_path)
    monkeypatch.setattr(storage.time, 'sleep', lambda seconds: pytest.fail('it waits'))

    def write(values, workdir):
        raise OSError(errno.ENOSPC, 'No space left on device', str(workdir / 'report.html'))

    monkeypatch.setattr(work.study_page, 'write', write)
    message = 'state of the study is not written: .*report.html: No space left .*make room'
    with pytest.raises(UserError, match=message):
        work.work(search, ledger, tmp_path, tmp_path)
    assert 'does not answer' not in capsys.readouterr().out


def test_a_storage_that_goes_away_while_importances_are_computed_is_waited_for(
    tmp_path, monkeypatch
):
    search, ledger = ended_study(tmp_path)
    monkeypatch.setattr(storage, 'RETRY_S', 0.01)
    compute, asked = optuna.importance.get_param_importances, []

    def goes_away(*given, **options):
        asked.append(1)
        if len(asked) == 1:
            raise OSError('away')
        return compute(*given, **options)

    monkeypatch.setattr(optuna.importance, 'get_param_importances', goes_away)
    assert set(snapshot.take(search, ledger)['importances']) <= {'a', 'b'}
    assert len(asked) == 2


def test_the_status_counts_trials_and_says_how_long_it_will_take(tmp_path):
    ledger = open_ledger(tmp_path / 'j', total=4)
    assert snapshot.status(ledger) == 'study: 0 done, 0 pruned, 0 failed, 0 running of 4'
    for state, value in (('COMPLETE', 0.5), ('COMPLETE', 0.75), ('FAIL', None)):
        ledger.tell(ledger.claim(), state, value)
    ledger.claim()
    said = snapshot.status(ledger)
    assert 'study: 2 done, 0 pruned, 1 failed, 1 running of 4; best 75.00 % (trial 1)' in said
    assert 'trials/h' in said and said.endswith('left')


def test_proposals_depend_on_the_seed_and_the_trial_only(tmp_path):
    def proposed(path, workers_):
        opened = [open_ledger(path, total=8) for _ in range(workers_)]
        found = []
        for number in range(8):
            worker = opened[number % workers_]
            claim = worker.claim()
            found.append(claim.values)
            worker.tell(claim, 'COMPLETE', 0.5)
        return found

    one = proposed(tmp_path / 'one', 1)
    assert one == proposed(tmp_path / 'three', 3)
    assert len({tuple(values.values()) for values in one}) > 2


def test_study_json_is_written_by_one_worker_at_a_time(tmp_path, monkeypatch):
    search, _ = ended_study(tmp_path, 1)
    ledger = open_ledger(tmp_path / 'j', total=3)
    write_json, alone = work.atomic.write_json, []

    def train(search, ledger, claim, workdir, data_dir):
        ledger.tell(claim, 'COMPLETE', 0.5)
        return 'done'

    def write(path, values):
        if path.name == 'study.json':
            with ledger.store._claims.open('a') as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone.append(sum(trial['state'] == 'done' for trial in values['trials']))
        write_json(path, values)

    monkeypatch.setattr(work.trial, 'run', train)
    monkeypatch.setattr(work.study_page, 'write', lambda values, workdir: 'a page')
    monkeypatch.setattr(work.atomic, 'write_json', write)
    work.work(search, ledger, tmp_path / 'study', tmp_path)
    assert alone == [2, 3, 3]


def test_the_search_goes_where_the_accuracy_is_higher(tmp_path):
    ledger = open_ledger(tmp_path / 'j', total=40, sampler='tpe')
    found = []
    for _ in range(40):
        claim = ledger.claim()
        found.append(claim.values['a'])
        ledger.tell(claim, 'COMPLETE', float(claim.values['a'] == 3))
    assert found[20:].count(3) > 12
