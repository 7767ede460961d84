//! The steps from any older `regatta.db` to this one, embedded. Add a file, never change one: its checksum is kept.

use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Row, SqlStr};

use super::{Error, create_private};

const STEPS: [(i64, &str, &str); 1] = [(1, "login sessions", include_str!("migrations/0001_login_sessions.sql"))];

pub(super) async fn run(pool: &SqlitePool, path: &Path, existed: bool) -> Result<(), Error> {
    let applied = if existed { applied(pool).await? } else { 0 };
    let newest = STEPS[STEPS.len() - 1].0;
    if applied > 0 && applied < newest {
        copy(pool, path, applied).await?;
    }
    let steps = STEPS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    Migrator::with_migrations(steps.into())
        .run(pool)
        .await
        .map_err(|source| Error::Migrate { path: path.to_owned(), source })
}

/// The newest step the file has seen; 0 for a file that is still empty.
async fn applied(pool: &SqlitePool) -> Result<i64, Error> {
    let query = |source| Error::Query { what: "read which migrations regatta.db has", source };
    let known = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_optional(pool)
        .await
        .map_err(query)?;
    if known.is_none() {
        return Ok(0);
    }
    let row = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations").fetch_one(pool).await;
    row.and_then(|row| row.try_get(0)).map_err(query)
}

/// `VACUUM INTO` copies a consistent state, what is still in the WAL included.
async fn copy(pool: &SqlitePool, path: &Path, version: i64) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".v{version}"));
    let copy = path.with_file_name(name);
    if copy.exists() {
        // An earlier attempt got this far: its copy is the older, so the better one.
        return Ok(());
    }
    create_private(&copy).map_err(|source| Error::Create { path: copy.clone(), source })?;
    let target = copy.to_string_lossy().replace('\'', "''");
    sqlx::raw_sql(AssertSqlSafe(format!("VACUUM INTO '{target}'")))
        .execute(pool)
        .await
        .map(|_| ())
        .map_err(|source| Error::Copy { path: path.to_owned(), copy, source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::db::Db;

    #[tokio::test]
    async fn opening_twice_migrates_once_and_the_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("regatta.db");
        for _ in 0..2 {
            let db = Db::open(&path).await.unwrap();
            assert_eq!(applied(&db.pool).await.unwrap(), STEPS[STEPS.len() - 1].0);
            for entry in std::fs::read_dir(dir.path()).unwrap() {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{:?} is {mode:o}", entry.file_name());
            }
            db.close().await;
        }
    }

    #[tokio::test]
    async fn a_copy_has_what_the_file_had() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it's.db");
        let db = Db::open(&path).await.unwrap();
        copy(&db.pool, &path, 1).await.unwrap();
        copy(&db.pool, &path, 1).await.unwrap();
        let copy = Db::open(&dir.path().join("it's.db.v1")).await.unwrap();
        assert_eq!(applied(&copy.pool).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_file_from_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("regatta.db");
        let db = Db::open(&path).await.unwrap();
        sqlx::raw_sql("UPDATE _sqlx_migrations SET version = 99").execute(&db.pool).await.unwrap();
        db.close().await;
        assert!(matches!(Db::open(&path).await, Err(Error::Migrate { .. })));
    }
}
