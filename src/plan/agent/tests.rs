use super::*;
use crate::adapter;
use crate::api::agent::{OnDelete, TerminalSize};
use crate::api::agent_status::{Activity, Effective};
use crate::api::conditions::{FINISHED, READY, Truth, Verdict};
use crate::api::link::DesiredRepo;
use crate::api::repo::RepoSpec;

fn desired(adapter: &str) -> Desired {
    let adapter = adapter::find(adapter).unwrap().clone();
    Desired {
        uid: "u1".into(),
        namespace: "default".into(),
        name: "a".into(),
        version: String::new(),
        generation: 1,
        deleting: false,
        run: Run::Running,
        effective: Effective {
            adapter: adapter.name.clone(),
            options: Default::default(),
            restart: adapter.spec.restart.clone(),
            on_delete: OnDelete::default(),
            terminal: TerminalSize::default(),
            log_max_bytes: 1,
        },
        adapter,
        workspace: Workspace::Worktree {
            repo: DesiredRepo {
                uid: "r1".into(),
                name: "r".into(),
                spec: Box::new(RepoSpec { path: Some("/r".into()), ..RepoSpec::default() }),
            },
            base_ref: None,
            branch: "agent/a".into(),
        },
        args: vec![],
        command: vec!["true".into()],
        prompt: None,
        env: vec![],
        secret_env: vec![],
        terminal: TerminalSize::default(),
        blocked: None,
    }
}

fn with(policy: RestartPolicy, limit: Option<i32>) -> Desired {
    let mut desired = desired("command");
    desired.effective.restart = Restart { policy, limit };
    desired
}

fn stopped() -> Desired {
    Desired { run: Run::Stopped, ..desired("command") }
}

fn deleting(fate: WorktreeFate) -> Desired {
    let mut desired = Desired { deleting: true, ..desired("command") };
    desired.effective.on_delete.worktree = Some(fate);
    desired
}

fn alive() -> Seen {
    Seen {
        memory: Memory { epoch: 1, launched: true, started_ms: 0, ..Memory::default() },
        repo: RepoSeen::Ready,
        workspace: Place::Ready,
        process: Process::Alive { since_ms: 0, last_output_ms: Some(0) },
        ..Seen::default()
    }
}

fn ended(code: i32) -> Seen {
    let end = End {
        epoch: 1,
        code: Some(code),
        signal: None,
        reason: EndReason::Exited,
        message: None,
        started_ms: 0,
        ended_ms: 1_000,
    };
    Seen { process: Process::Ended(end), ..alive() }
}

fn ended_by(reason: EndReason) -> Seen {
    let Process::Ended(end) = ended(0).process else { unreachable!() };
    Seen { process: Process::Ended(End { code: None, reason, ..end }), ..alive() }
}

fn session(epoch: u64, restart: bool, streak: i32) -> Step {
    Step::EnsureSession { epoch, restart, streak }
}

#[test]
fn an_agent_comes_up_step_by_step_and_every_step_is_found_done() {
    let desired = desired("command");
    let mut seen = Seen::default();
    assert_eq!(next(Some(&desired), &seen, 0), Step::EnsureRepo);
    seen.repo = RepoSeen::Ready;
    assert_eq!(next(Some(&desired), &seen, 0), Step::EnsureWorktree);
    seen.workspace = Place::Ready;
    assert_eq!(next(Some(&desired), &seen, 0), session(1, false, 0));
    // The host died between writing the epoch down and starting it: the same start.
    seen.memory.epoch = 1;
    assert_eq!(next(Some(&desired), &seen, 0), session(1, false, 0));
    seen = alive();
    assert_eq!(next(Some(&desired), &seen, 0), WATCH);
    let scratch = Desired { workspace: Workspace::Scratch, ..desired };
    assert_eq!(next(Some(&scratch), &Seen::default(), 0), Step::EnsureWorktree);
}

#[test]
fn what_nobody_asked_for_is_left_alone() {
    for seen in [Seen::default(), alive(), ended(1)] {
        assert_eq!(next(None, &seen, 0), WATCH);
    }
}

#[test]
fn a_finished_agent_is_never_started_again_by_itself() {
    for policy in [RestartPolicy::Never, RestartPolicy::OnFailure] {
        assert_eq!(next(Some(&with(policy, None)), &ended(0), i64::MAX / 2), WATCH);
    }
}

#[test]
fn the_restart_policy_decides_by_how_it_ended() {
    use RestartPolicy::*;
    let soon = until(11_000);
    for (policy, seen, expected) in [
        (Never, ended(1), WATCH),
        (Never, ended_by(EndReason::TerminalLost), WATCH),
        (OnFailure, ended(1), soon.clone()),
        (OnFailure, ended_by(EndReason::Signaled), soon.clone()),
        (OnFailure, ended_by(EndReason::TerminalLost), soon.clone()),
        (OnFailure, ended_by(EndReason::CannotStart), soon.clone()),
        (Always, ended(0), soon.clone()),
        (Always, ended(1), soon.clone()),
    ] {
        assert_eq!(next(Some(&with(policy, None)), &seen, 1_000), expected, "{policy:?} {:?}", seen.process);
    }
    assert_eq!(next(Some(&with(OnFailure, None)), &ended(1), 11_000), session(2, true, 1));
}

#[test]
fn back_off_doubles_to_five_minutes_and_is_forgotten_after_ten_minutes_up() {
    let desired = with(RestartPolicy::OnFailure, None);
    for (streak, wait_s) in [(0, 10), (1, 20), (2, 40), (3, 80), (4, 160), (5, 300), (60, 300)] {
        let mut seen = ended(1);
        seen.memory.streak = streak;
        assert_eq!(next(Some(&desired), &seen, 1_000), until(1_000 + wait_s * 1_000), "streak {streak}");
    }
    let mut seen = ended(1);
    seen.memory.streak = 5;
    if let Process::Ended(end) = &mut seen.process {
        end.ended_ms = STEADY_MS;
    }
    assert_eq!(next(Some(&desired), &seen, STEADY_MS + 10_000), session(2, true, 1));
}

#[test]
fn the_limit_ends_the_restarts() {
    let desired = with(RestartPolicy::OnFailure, Some(2));
    let mut seen = ended(1);
    seen.memory.streak = 2;
    assert_eq!(next(Some(&desired), &seen, i64::MAX / 2), WATCH);
    let report = report(Some(&desired), &seen, 2_000);
    assert!(report.message.contains("its limit"), "{}", report.message);
}

#[test]
fn a_stop_escalates_from_the_adapters_steps_to_force() {
    let desired = stopped();
    let mut seen = alive();
    assert_eq!(next(Some(&desired), &seen, 0), Step::Ask { stage: 0, signal: "SIGTERM".into() });
    seen.stopping = Some(Stopping { stage: 0, at_ms: 0 });
    assert_eq!(next(Some(&desired), &seen, 7_999), until(8_000));
    assert_eq!(next(Some(&desired), &seen, 8_000), Step::Force { stage: 1, grace_ms: GRACE_MS });
    seen.stopping = Some(Stopping { stage: 1, at_ms: 8_000 });
    assert_eq!(next(Some(&desired), &seen, 8_001), until(18_000));
    assert_eq!(next(Some(&desired), &seen, 18_000), Step::Force { stage: 1, grace_ms: GRACE_MS });
}

#[test]
fn stopped_and_wanted_again_is_a_new_epoch() {
    let by_us = ended_by(EndReason::Stopped);
    assert_eq!(next(Some(&stopped()), &by_us, 2_000), Step::Rest);
    assert_eq!(next(Some(&desired("command")), &by_us, 2_000), session(2, false, 0));
    // It had finished before anybody stopped it.
    let mut finished = ended(0);
    assert_eq!(next(Some(&stopped()), &finished, 2_000), Step::Rest);
    finished.memory.rested = true;
    assert_eq!(next(Some(&stopped()), &finished, 2_000), WATCH);
    assert_eq!(next(Some(&desired("command")), &finished, 2_000), session(2, false, 0));
    // Wanted again before it had ended: the stop goes on.
    let mut ending = alive();
    ending.memory.stop_asked = true;
    assert!(matches!(next(Some(&desired("command")), &ending, 0), Step::Ask { .. }));
}

#[test]
fn a_terminal_that_tmux_does_not_know_is_never_started_over() {
    let seen = Seen { process: Process::Unreachable { why: "x".into() }, ..alive() };
    for desired in [desired("command"), stopped(), deleting(WorktreeFate::Discard)] {
        assert_eq!(next(Some(&desired), &seen, 0), WATCH);
        let report = report(Some(&desired), &seen, 0);
        assert_eq!(report.activity, Activity::Unknown);
    }
}

#[test]
fn deletion_stops_then_judges_then_removes() {
    use WorktreeFate::*;
    let dirty = Harvest::Dirty { what: "w".into(), at_ms: 0 };
    for (fate, harvest, expected) in [
        (Keep, Harvest::NotYet, Step::KeepWorktree),
        (DeleteWhenClean, Harvest::NotYet, Step::Harvest),
        (DeleteWhenClean, Harvest::Clean, Step::RemoveWorktree),
        (DeleteWhenClean, dirty.clone(), until(30_000)),
        (Discard, Harvest::NotYet, Step::Rescue),
        (Discard, dirty.clone(), Step::Rescue),
        (Discard, Harvest::Saved, Step::RemoveWorktree),
        (Keep, dirty, Step::KeepWorktree),
    ] {
        let desired = deleting(fate);
        let running = Seen { harvest: harvest.clone(), ..alive() };
        assert!(matches!(next(Some(&desired), &running, 0), Step::Ask { .. }), "{fate:?}");
        let still = Seen { harvest: harvest.clone(), ..ended(0) };
        assert_eq!(next(Some(&desired), &still, 0), expected, "{fate:?} {harvest:?}");
        let away = Seen { workspace: Place::PutAway, ..still };
        assert_eq!(next(Some(&desired), &away, 0), Step::RemoveAgent);
    }
    assert_eq!(next(Some(&deleting(DeleteWhenClean)), &Seen::default(), 0), Step::RemoveAgent);
    assert_eq!(next(Some(&deleting(Discard)), &Seen { gone: true, ..Seen::default() }, 0), WATCH);
}

#[test]
fn a_users_own_directory_is_never_removed_and_a_scratch_with_files_stays() {
    let own = Workspace::Directory { path: "/d".into() };
    let desired = Desired { workspace: own, ..deleting(WorktreeFate::Discard) };
    assert_eq!(next(Some(&desired), &ended(0), 0), Step::RemoveAgent);
    let desired = Desired { workspace: Workspace::Scratch, ..deleting(WorktreeFate::DeleteWhenClean) };
    let seen = Seen { harvest: Harvest::Dirty { what: "w".into(), at_ms: 0 }, ..ended(0) };
    assert_eq!(next(Some(&desired), &seen, 0), Step::KeepWorktree);
}

#[test]
fn trouble_is_waited_out_and_grows() {
    let mut seen = Seen { trouble: Some(Trouble::after(None, "X", "x".into(), 0)), ..Seen::default() };
    assert_eq!(next(Some(&desired("command")), &seen, 0), until(2_000));
    assert_eq!(next(Some(&desired("command")), &seen, 2_000), Step::EnsureRepo);
    let mut trouble = seen.trouble.take();
    for _ in 0..20 {
        trouble = Some(Trouble::after(trouble.as_ref(), "X", "x".into(), 0));
    }
    assert_eq!(trouble.unwrap().retry_ms, 120_000);
}

#[test]
fn a_prompt_is_typed_once_when_the_shell_is_ready() {
    let mut desired = desired("shell");
    desired.prompt = Some("make test".into());
    let mut seen = alive();
    assert_eq!(next(Some(&desired), &seen, 100), until(250));
    assert_eq!(next(Some(&desired), &seen, 250), Step::TypePrompt);
    seen.process = Process::Alive { since_ms: 0, last_output_ms: None };
    assert_eq!(next(Some(&desired), &seen, 100), until(1_000));
    assert_eq!(next(Some(&desired), &seen, 1_000), until(3_000));
    assert_eq!(next(Some(&desired), &seen, 3_000), Step::TypePrompt);
    seen.memory.prompted = true;
    assert_eq!(next(Some(&desired), &seen, 3_000), WATCH);
}

#[test]
fn what_cannot_be_launched_waits_for_another_spec() {
    let blocked = Verdict::new(READY, Truth::False, "SecretNotFound", "no Secret \"x\"");
    let desired_blocked = Desired { blocked: Some(blocked), ..desired("command") };
    assert_eq!(next(Some(&desired_blocked), &Seen::default(), 0), WATCH);
    let said = report(Some(&desired_blocked), &Seen::default(), 0);
    assert_eq!(said.message, "no Secret \"x\"");
    let wrong = Seen { spec_error: Some("spec.command is empty".into()), ..Seen::default() };
    assert_eq!(next(Some(&desired("command")), &wrong, 0), WATCH);
    assert_eq!(report(Some(&desired("command")), &wrong, 0).message, "spec.command is empty");
}

#[test]
fn ready_and_activity_say_how_it_is() {
    let running = desired("command");
    let start = Seen { process: Process::Alive { since_ms: 0, last_output_ms: None }, ..alive() };
    let dirty = Seen { harvest: Harvest::Dirty { what: "1 uncommitted file (x)".into(), at_ms: 0 }, ..ended(0) };
    let crash = with(RestartPolicy::OnFailure, None);
    let clean = deleting(WorktreeFate::DeleteWhenClean);
    for (desired, seen, now, ready, activity) in [
        (&running, Seen::default(), 0, "False Starting", Activity::Starting),
        (&running, start.clone(), 999, "True Running", Activity::Starting),
        (&running, start, 1_000, "True Running", Activity::Working),
        (&running, alive(), 0, "True Running", Activity::Working),
        (&running, ended(0), 0, "True Finished", Activity::Finished),
        (&running, ended(3), 0, "False Failed", Activity::Failed),
        (&running, ended_by(EndReason::Signaled), 0, "False Failed", Activity::Failed),
        (&running, ended_by(EndReason::CannotStart), 0, "False CannotStart", Activity::Failed),
        (&running, ended_by(EndReason::TerminalLost), 0, "False TerminalLost", Activity::Failed),
        (&running, ended_by(EndReason::Stopped), 0, "False Starting", Activity::Stopped),
        (&crash, ended(3), 0, "False CrashLoop", Activity::Failed),
        (&stopped(), Seen::default(), 0, "True Stopped", Activity::Stopped),
        (&stopped(), alive(), 0, "False Stopping", Activity::Working),
        (&stopped(), ended_by(EndReason::Stopped), 0, "True Stopped", Activity::Stopped),
        (&clean, dirty.clone(), 0, "False DirtyWorktree", Activity::Finished),
    ] {
        let said = report(Some(desired), &seen, now);
        let verdict = said.verdicts.iter().find(|v| v.kind == READY).unwrap();
        let got = format!("{} {}", verdict.status.as_str(), verdict.reason);
        assert_eq!((got.as_str(), said.activity), (ready, activity), "{:?}", seen.process);
    }
    let said = report(Some(&clean), &dirty, 0).message;
    for way in ["commit and push", "Discard", "Keep", "1 uncommitted file (x)"] {
        assert!(said.contains(way), "{said:?} does not say {way:?}");
    }
}

#[test]
fn finished_is_true_only_when_it_ended_with_0_and_nothing_restarts_it() {
    let finished = |desired: &Desired, seen: &Seen| {
        let said = report(Some(desired), seen, 0);
        said.verdicts.iter().any(|v| v.kind == FINISHED && v.status == Truth::True)
    };
    assert!(finished(&desired("command"), &ended(0)));
    for (desired, seen) in [
        (desired("command"), ended(1)),
        (desired("command"), alive()),
        (with(RestartPolicy::Always, None), ended(0)),
        (stopped(), ended_by(EndReason::Stopped)),
    ] {
        assert!(!finished(&desired, &seen), "{:?}", seen.process);
    }
}
