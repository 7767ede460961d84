//! What each step of the plan does. A step that fails leaves its trouble behind for the plan to wait out; none is undone.

use std::path::Path;
use std::time::{Duration, Instant};

use super::actor::{Actor, delete_later, shim_lives};
use super::session::Terminal;
use super::{keys, launch};
use super::{now_ms, record, rescue, tmux, work, worktree};
use crate::api::agent::BranchFate;
use crate::api::link::{Desired, ObservedRepo, Workspace};
use crate::plan::agent::{Harvest, Place, RepoSeen, Step, Stopping, Trouble};

/// A shim starts in milliseconds; on a machine that swaps it may take a while.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A shim that has written its last record is gone soon after.
const LINGER_PATIENCE: Duration = Duration::from_secs(10);

/// Why a step failed: a word for the condition's reason, and a sentence.
struct Failure {
    reason: &'static str,
    message: String,
}

impl Failure {
    fn new(reason: &'static str, message: impl ToString) -> Failure {
        Failure { reason, message: message.to_string() }
    }
}

impl Actor {
    /// Takes one step of the plan.
    pub async fn act(&mut self, step: Step) {
        let Some(desired) = self.desired.clone() else { return };
        tracing::debug!(uid = self.uid(), name = desired.name, ?step, "step");
        let done = match step {
            Step::EnsureRepo => self.ensure_repo(&desired).await,
            Step::EnsureWorktree => self.ensure_worktree(&desired).await,
            Step::EnsureSession { epoch, restart, streak } => {
                self.ensure_session(&desired, epoch, restart, streak).await
            }
            Step::TypePrompt => self.type_prompt(&desired).await,
            Step::Rest => {
                (self.seen.memory.rested, self.seen.memory.streak) = (true, 0);
                self.save();
                Ok(())
            }
            Step::Ask { stage, signal } => self.ask(stage, &signal).await,
            Step::Force { stage, grace_ms } => self.force(stage, grace_ms).await,
            Step::Harvest => self.harvest(&desired).await,
            Step::Rescue => self.rescue(&desired).await,
            Step::RemoveWorktree => self.remove_worktree(&desired).await,
            Step::KeepWorktree => self.keep_worktree(),
            Step::RemoveAgent => self.remove_agent().await,
            Step::Observe { .. } => Ok(()),
        };
        match done {
            Ok(()) => self.seen.trouble = None,
            Err(Failure { reason, message }) => {
                tracing::info!(uid = self.uid(), name = desired.name, reason, message, "a step failed");
                self.seen.trouble = Some(Trouble::after(self.seen.trouble.as_ref(), reason, message, now_ms()));
            }
        }
    }

    async fn ensure_repo(&mut self, desired: &Desired) -> Result<(), Failure> {
        let Workspace::Worktree { repo, .. } = &desired.workspace else { return Ok(()) };
        match self.shared.repos.ensure(repo, now_ms()).await {
            Ok(clone) => {
                self.extras.repo = Some(clone.observed(&repo.uid));
                self.seen.repo = RepoSeen::Ready;
                Ok(())
            }
            Err(error) => {
                let message = error.to_string();
                self.extras.repo = Some(ObservedRepo {
                    uid: repo.uid.clone(),
                    default_branch: None,
                    head_sha: None,
                    fetched_ms: None,
                    error: Some(message.clone()),
                });
                Err(Failure::new("RepoUnavailable", message))
            }
        }
    }

    async fn ensure_worktree(&mut self, desired: &Desired) -> Result<(), Failure> {
        self.make_directory()?;
        let path = self.place();
        match &desired.workspace {
            Workspace::Directory { path } => {
                if !Path::new(path).is_dir() {
                    let message = format!("spec.directory {path} is no directory on this host; create it");
                    return Err(Failure::new("DirectoryNotFound", message));
                }
            }
            Workspace::Scratch => std::fs::create_dir_all(&path).map_err(|error| {
                Failure::new("WorktreeFailed", format!("cannot create {}: {error}", path.display()))
            })?,
            Workspace::Worktree { repo, base_ref, branch } => {
                let shared = self.shared.clone();
                let _permit = shared.checkouts.acquire().await.expect("the semaphore is never closed");
                let used = self.seen.memory.epoch > 0;
                let wanted = worktree::Wanted { path: &path, repo, branch, base: base_ref.as_deref(), used };
                let made = worktree::ensure(&shared.repos, &shared.kept, wanted, now_ms()).await;
                let (clone, origin) = made.map_err(|error| Failure::new(error.reason(), error))?;
                self.extras.repo = Some(clone.observed(&repo.uid));
                if let Some(origin) = origin {
                    self.record.origin = Some(origin);
                }
            }
        }
        self.record.workspace = Some(desired.workspace.clone());
        self.seen.workspace = Place::Ready;
        self.save();
        self.look_at_worktree().await;
        Ok(())
    }

    fn make_directory(&self) -> Result<(), Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let directory = self.directory();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| Failure::new("HostFailed", format!("cannot create {}: {error}", directory.display())))
    }

    async fn ensure_session(
        &mut self,
        desired: &Desired,
        epoch: u64,
        restart: bool,
        streak: i32,
    ) -> Result<(), Failure> {
        let launch = match launch::check(desired) {
            Ok(launch) => launch,
            Err(error) => {
                self.seen.spec_error = Some(error.to_string());
                return Ok(());
            }
        };
        self.make_directory()?;
        let (directory, socket, cwd) = (self.directory(), self.socket(), self.place());
        let failed = |message: String| Failure::new("SessionFailed", message);
        let terminal = self.open_terminal().ok_or_else(|| failed(format!("{} vanished", directory.display())))?;
        // A shim of before lingers until its last words are read; it must not be overtaken.
        let begin = Instant::now();
        while shim_lives(&directory) {
            if begin.elapsed() > LINGER_PATIENCE {
                return Err(failed("the shim of an earlier start still holds the agent's lock".into()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let shared = self.shared.clone();
        let _permit = shared.starts.acquire().await.expect("the semaphore is never closed");
        let memory = &mut self.seen.memory;
        if memory.epoch != epoch {
            (memory.epoch, memory.streak) = (epoch, streak);
            memory.restarts = memory.restarts.saturating_add(i32::from(restart));
        }
        (memory.launched, memory.stop_asked, memory.rested) = (false, false, false);
        memory.started_ms = now_ms();
        self.seen.stopping = None;
        self.record.effective = Some(desired.effective.clone());
        self.save();
        let place = launch::Place { epoch, cwd: &cwd, socket: socket.clone() };
        launch::write(&directory, desired, launch, place)
            .map_err(|error| failed(format!("cannot write the launch of {}: {error}", desired.name)))?;
        let (exe, agent_dir) = (text(&shared.config.exe)?, text(&directory)?);
        let pane = tmux::Pane {
            uid: &desired.uid,
            label: &desired.name,
            argv: [exe, "shim", agent_dir],
            cols: desired.terminal.cols,
            rows: desired.terminal.rows,
        };
        shared.tmux.ensure(pane).await.map_err(|error| failed(error.to_string()))?;
        self.extras.tmux = shared.tmux.address(&desired.uid);
        self.in_tmux = true;
        let started = self.meet_shim(&terminal, &socket).await;
        if started.is_err() {
            launch::remove_leftover_secrets(&directory);
        }
        started
    }

    /// Waits until the new epoch's shim answers, or has come and gone.
    async fn meet_shim(&mut self, terminal: &Terminal, socket: &Path) -> Result<(), Failure> {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(4);
        loop {
            let refused = match terminal.connect(socket).await {
                Ok(()) => {
                    self.seen.memory.launched = true;
                    self.save();
                    return Ok(());
                }
                Err(error) => error,
            };
            if record::end_of(&self.directory(), &self.seen.memory).is_ok_and(|end| end.is_some()) {
                // Shorter than a blink; the end says how it went.
                terminal.missed();
                return Ok(());
            }
            if begin.elapsed() > Duration::from_secs(1) {
                let pane = self.shared.tmux.pane(self.uid()).await;
                if let Ok(Some(tmux::PaneState::Dead { status })) = pane
                    && !shim_lives(&self.directory())
                    && record::end_of(&self.directory(), &self.seen.memory).is_ok_and(|end| end.is_none())
                {
                    let message = format!(
                        "`{} shim` ended with {status} before it could start the command; `tmux -L {}` shows why",
                        self.shared.config.exe.display(),
                        self.extras.tmux.as_deref().unwrap_or_default().replace(':', " attach -t "),
                    );
                    return Err(Failure::new("SessionFailed", message));
                }
            }
            if begin.elapsed() > START_PATIENCE {
                let message =
                    format!("the agent's shim does not answer after {} s: {refused}", START_PATIENCE.as_secs());
                return Err(Failure::new("SessionFailed", message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    async fn type_prompt(&mut self, desired: &Desired) -> Result<(), Failure> {
        let prompt = launch::check(desired).ok().and_then(|launch| launch.typed);
        if let (Some(prompt), Some(terminal)) = (prompt, self.terminal()) {
            // The key makes it one prompt, whatever crashes between typing it and writing that down.
            let typed = terminal.deliver(keys::Mode::Line, prompt.as_bytes(), Some("first prompt")).await;
            typed.map_err(|error| Failure::new("PromptNotTyped", error))?;
        }
        self.seen.memory.prompted = true;
        self.save();
        Ok(())
    }

    async fn ask(&mut self, stage: usize, signal: &str) -> Result<(), Failure> {
        self.stopping(stage);
        let number = match signal {
            "SIGINT" => nix::sys::signal::Signal::SIGINT,
            "SIGHUP" => nix::sys::signal::Signal::SIGHUP,
            _ => nix::sys::signal::Signal::SIGTERM,
        };
        let Some(terminal) = self.terminal() else { return Ok(()) };
        terminal
            .signal(number as i32)
            .await
            .map_err(|error| Failure::new("StopFailed", format!("cannot send {signal}: {error}")))
    }

    async fn force(&mut self, stage: usize, grace_ms: u32) -> Result<(), Failure> {
        self.stopping(stage);
        let Some(terminal) = self.terminal() else { return Ok(()) };
        let grace = Duration::from_millis(u64::from(grace_ms));
        terminal.stop(grace).await.map_err(|error| Failure::new("StopFailed", format!("cannot end the agent: {error}")))
    }

    /// Written down before the signal goes out: however the epoch ends now, we ended it.
    fn stopping(&mut self, stage: usize) {
        self.seen.memory.stop_asked = true;
        self.save();
        self.seen.stopping = Some(Stopping { stage, at_ms: now_ms() });
    }

    async fn harvest(&mut self, desired: &Desired) -> Result<(), Failure> {
        let path = self.place();
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(
                "DirtyWorktree",
                format!("cannot tell whether {} is clean, so it stays: {error}", path.display()),
            )
        };
        let what = match &desired.workspace {
            Workspace::Worktree { repo, .. } => {
                let branch = self.record.origin.as_ref().map(|origin| origin.branch.clone());
                let mut unsaved = work::unsaved(&path, branch.as_deref()).await.map_err(|error| failed(&error))?;
                if !unsaved.commits.is_empty() && (repo.spec.url.is_some() || repo.spec.path.is_some()) {
                    // It may have been merged or pushed from elsewhere.
                    match self.shared.repos.refresh(repo, now_ms()).await {
                        Ok(clone) => self.extras.repo = Some(clone.observed(&repo.uid)),
                        Err(error) => tracing::debug!(uid = self.uid(), %error, "judging by the last fetch"),
                    }
                    unsaved = work::unsaved(&path, branch.as_deref()).await.map_err(|error| failed(&error))?;
                }
                (!unsaved.is_clean()).then(|| unsaved.describe())
            }
            Workspace::Scratch => {
                let mut entries = std::fs::read_dir(&path).map_err(|error| failed(&error))?;
                entries.next().map(|_| "files".to_owned())
            }
            Workspace::Directory { .. } => None,
        };
        self.look_at_worktree().await;
        self.seen.harvest = match what {
            Some(what) => Harvest::Dirty { what, at_ms: now_ms() },
            None => Harvest::Clean,
        };
        self.keep_what_is_dirty();
        Ok(())
    }

    async fn rescue(&mut self, desired: &Desired) -> Result<(), Failure> {
        if let Workspace::Worktree { repo, .. } = &desired.workspace {
            let reference = rescue::reference(&desired.name, &desired.uid);
            let name = reference.rsplit('/').next().unwrap_or_default();
            let aside = self.shared.paths.home.join("rescued").join(name);
            let _slot = self.shared.repos.lock(&repo.uid).await;
            rescue::rescue(&self.place(), &reference, &aside)
                .await
                .map_err(|error| Failure::new("RescueFailed", error))?;
        }
        self.seen.harvest = Harvest::Saved;
        Ok(())
    }

    async fn remove_worktree(&mut self, desired: &Desired) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new("WorktreeFailed", error.to_string());
        let repo = match &desired.workspace {
            Workspace::Worktree { repo, .. } => Some(repo),
            Workspace::Scratch => None,
            // A user's own directory is nobody's to remove.
            Workspace::Directory { .. } => return Ok(()),
        };
        let uid = repo.map(|repo| repo.uid.as_str());
        let trash = worktree::put_away(&self.shared.repos, uid, &self.place()).await.map_err(|error| failed(&error))?;
        if let Some(trash) = trash {
            delete_later(trash);
        }
        let fate = desired.effective.on_delete.branch.unwrap_or_default();
        if let (Some(uid), BranchFate::DeleteWhenMerged, Some(origin)) = (uid, fate, &self.record.origin) {
            let deleted = worktree::delete_merged_branch(&self.shared.repos, uid, &origin.branch).await;
            deleted.map_err(|error| failed(&error))?;
        }
        self.put_away();
        Ok(())
    }

    fn keep_worktree(&mut self) -> Result<(), Failure> {
        let owner = self.record.owner.clone();
        let kept = worktree::kept_record(&self.place(), self.record.origin.as_ref(), owner, now_ms());
        self.shared.kept.add(kept).map_err(|error| Failure::new("WorktreeFailed", error))?;
        self.put_away();
        Ok(())
    }

    fn put_away(&mut self) {
        self.seen.workspace = Place::PutAway;
        self.extras.worktree = None;
    }

    async fn remove_agent(&mut self) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new("HostFailed", error.to_string());
        let uid = self.uid().to_owned();
        self.shared.tmux.remove(&uid).await.map_err(|error| failed(&error))?;
        self.close_terminal();
        match std::fs::remove_file(self.socket()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
        let trash = worktree::put_away(&self.shared.repos, None, &self.directory()).await;
        if let Some(trash) = trash.map_err(|error| failed(&error))? {
            delete_later(trash);
        }
        self.seen.gone = true;
        Ok(())
    }
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        let message = format!("{} is not UTF-8, which tmux cannot be told; move it", path.display());
        Failure::new("HostFailed", message)
    })
}
