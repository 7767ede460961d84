//! What is not a resource, in `regatta.db`: so far the login sessions. Must not know what resources mean, nor HTTP.
//!
//! The file is for its owner only. Migrations go forward only; an existing file is copied before it is migrated.

mod migrations;
mod sessions;

pub use sessions::LoginSession;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot create {path}: {source}")]
    Create { path: PathBuf, source: std::io::Error },
    #[error("cannot open {path}: {source}; if the file is damaged, move it away and log in again")]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("cannot copy {path} to {copy} before migrating it: {source}")]
    Copy { path: PathBuf, copy: PathBuf, source: sqlx::Error },
    #[error("cannot migrate {path}: {source}")]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
    #[error("cannot {what}: {source}")]
    Query { what: &'static str, source: sqlx::Error },
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: SqlitePool,
}

impl Db {
    /// Opens or creates the file, and brings it up to date.
    pub async fn open(path: &Path) -> Result<Db, Error> {
        let existed = path.exists();
        create_private(path).map_err(|source| Error::Create { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // Acknowledged means durable: a login survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        // WAL lets readers go on beside the one writer; a handful of connections is plenty for what is kept here.
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
        migrations::run(&pool, path, existed).await?;
        Ok(Db { pool })
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// SQLite gives its `-wal` and `-shm` files the permissions of the database, so it must have them from the start.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}
