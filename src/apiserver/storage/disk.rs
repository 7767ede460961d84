//! The SQLite half of the storage: layout, opening, one synced transaction per group, trimming the history.
//! Decides nothing about objects.

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    path::Path,
    time::SystemTime,
};

use sqlx::{
    Connection, QueryBuilder, Row, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{Change, Error};

/// History is for watches that resume after a restart, so its latest part is enough.
const HISTORY_ROWS: usize = 8192;
const HISTORY_BYTES: usize = 64 << 20;
/// Trimming waits until this many rows are over, so that most groups pay nothing for it.
const TRIM_STEP: usize = 512;

const LAYOUT: &[(i64, &str, &str)] = &[(
    1,
    "objects, their history, incarnations",
    "CREATE TABLE objects (
        resource TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (resource, key));
     CREATE TABLE history (
        version INTEGER PRIMARY KEY, resource TEXT NOT NULL, key TEXT NOT NULL, change INTEGER NOT NULL,
        data BLOB NOT NULL);
     CREATE TABLE incarnations (start INTEGER PRIMARY KEY, before INTEGER NOT NULL);",
)];

pub struct ObjectRow {
    pub resource: String,
    pub key: String,
    pub version: u64,
    pub data: Vec<u8>,
}

pub struct HistoryRow {
    pub resource: String,
    pub key: String,
    pub version: u64,
    pub change: Change,
    pub data: Vec<u8>,
}

pub struct Loaded {
    pub objects: Vec<ObjectRow>,
    pub history: Vec<HistoryRow>,
    pub gaps: Vec<(u64, u64)>,
    /// The history is complete after this version.
    pub oldest: u64,
    /// The first version of this incarnation.
    pub start: u64,
}

/// One change of a group, as it goes to disk.
pub struct Entry<'a> {
    pub resource: &'a str,
    pub key: &'a str,
    pub version: u64,
    pub change: Change,
    pub data: &'a [u8],
}

pub struct Disk {
    connection: SqliteConnection,
    /// Version and size of what the history table holds, oldest first.
    history: VecDeque<(u64, usize)>,
    history_bytes: usize,
}

impl Disk {
    pub async fn open(path: &Path) -> Result<(Disk, Loaded), Error> {
        let opening = |source| Error::Open { path: path.to_path_buf(), source };
        // Secrets are in it. SQLite gives its side files the mode of this one.
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let closed = file.and_then(|file| file.set_permissions(std::fs::Permissions::from_mode(0o600)));
        closed.map_err(|error| opening(sqlx::Error::Io(error)))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", "67108864");
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(opening)?;
        let migrations = LAYOUT.iter().map(|(version, what, sql)| {
            Migration::new(
                *version,
                Cow::Borrowed(*what),
                MigrationType::Simple,
                sqlx::SqlSafeStr::into_sql_str(*sql),
                false,
            )
        });
        Migrator::with_migrations(migrations.collect())
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|source| Error::Migrate { path: path.to_path_buf(), source })?;
        let loaded = load(&mut connection).await?;
        let history: VecDeque<(u64, usize)> = loaded.history.iter().map(|row| (row.version, row.data.len())).collect();
        let history_bytes = history.iter().map(|(_, size)| size).sum();
        Ok((Disk { connection, history, history_bytes }, loaded))
    }

    /// Writes a group; when this returns, it is synced.
    pub async fn commit(&mut self, group: &[Entry<'_>]) -> Result<(), sqlx::Error> {
        let mut over = self.history.len() + group.len();
        let mut bytes = self.history_bytes + group.iter().map(|entry| entry.data.len()).sum::<usize>();
        let mut trim = None;
        if over > HISTORY_ROWS + TRIM_STEP || bytes > HISTORY_BYTES + HISTORY_BYTES / 8 {
            for (version, size) in &self.history {
                if over <= HISTORY_ROWS && bytes <= HISTORY_BYTES {
                    break;
                }
                (over, bytes, trim) = (over - 1, bytes - size, Some(*version));
            }
        }
        let mut transaction = self.connection.begin().await?;
        // What is left of each object after the whole group: one statement for all of them costs little more than one for one.
        let mut last: BTreeMap<(&str, &str), &Entry<'_>> = BTreeMap::new();
        for entry in group {
            last.insert((entry.resource, entry.key), entry);
        }
        let (gone, left): (Vec<&Entry<'_>>, Vec<&Entry<'_>>) =
            last.into_values().partition(|entry| entry.change == Change::Deleted);
        if !left.is_empty() {
            let mut insert = QueryBuilder::new("INSERT INTO objects (resource, key, version, data) ");
            insert.push_values(&left, |mut row, entry| {
                row.push_bind(entry.resource)
                    .push_bind(entry.key)
                    .push_bind(entry.version as i64)
                    .push_bind(entry.data);
            });
            insert.push(" ON CONFLICT (resource, key) DO UPDATE SET version = excluded.version, data = excluded.data");
            insert.build().execute(&mut *transaction).await?;
        }
        if !gone.is_empty() {
            let mut delete = QueryBuilder::new("DELETE FROM objects WHERE (resource, key) IN (");
            delete.push_values(&gone, |mut row, entry| {
                row.push_bind(entry.resource).push_bind(entry.key);
            });
            delete.push(")");
            delete.build().execute(&mut *transaction).await?;
        }
        let mut insert = QueryBuilder::new("INSERT INTO history (version, resource, key, change, data) ");
        insert.push_values(group, |mut row, entry| {
            row.push_bind(entry.version as i64)
                .push_bind(entry.resource)
                .push_bind(entry.key)
                .push_bind(entry.change as i64)
                .push_bind(entry.data);
        });
        insert.build().execute(&mut *transaction).await?;
        if let Some(version) = trim {
            sqlx::query("DELETE FROM history WHERE version <= ?")
                .bind(version as i64)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.history.extend(group.iter().map(|entry| (entry.version, entry.data.len())));
        self.history_bytes += group.iter().map(|entry| entry.data.len()).sum::<usize>();
        while let (Some(trim), Some((version, size))) = (trim, self.history.front().copied()) {
            if version > trim {
                break;
            }
            self.history_bytes -= size;
            self.history.pop_front();
        }
        Ok(())
    }

    pub async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "closing the API database failed; everything acknowledged is in it");
        }
    }
}

async fn load(connection: &mut SqliteConnection) -> Result<Loaded, Error> {
    let mut objects = Vec::new();
    for row in sqlx::query("SELECT resource, key, version, data FROM objects").fetch_all(&mut *connection).await? {
        objects.push(ObjectRow {
            resource: row.try_get(0)?,
            key: row.try_get(1)?,
            version: row.try_get::<i64, _>(2)? as u64,
            data: row.try_get(3)?,
        });
    }
    let mut history = Vec::new();
    let rows = sqlx::query("SELECT resource, key, version, change, data FROM history ORDER BY version");
    for row in rows.fetch_all(&mut *connection).await? {
        history.push(HistoryRow {
            resource: row.try_get(0)?,
            key: row.try_get(1)?,
            version: row.try_get::<i64, _>(2)? as u64,
            change: match row.try_get::<i64, _>(3)? {
                0 => Change::Added,
                1 => Change::Modified,
                _ => Change::Deleted,
            },
            data: row.try_get(4)?,
        });
    }
    let mut gaps = Vec::new();
    for row in sqlx::query("SELECT before, start FROM incarnations ORDER BY start").fetch_all(&mut *connection).await? {
        gaps.push((row.try_get::<i64, _>(0)? as u64, row.try_get::<i64, _>(1)? as u64));
    }
    let newest_object = objects.iter().map(|row| row.version).max().unwrap_or(0);
    let newest_change = history.last().map_or(0, |row| row.version);
    let last_start = gaps.last().map_or(0, |(_, start)| *start);
    let before = newest_object.max(newest_change).max(last_start);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    let start = clock.max(before + 1);
    sqlx::query("INSERT INTO incarnations (start, before) VALUES (?, ?)")
        .bind(start as i64)
        .bind(before as i64)
        .execute(&mut *connection)
        .await?;
    gaps.push((before, start));
    let oldest = history.first().map_or(start, |row| row.version - 1);
    Ok(Loaded { objects, history, gaps, oldest, start })
}
