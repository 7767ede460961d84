//! Login sessions. Only the hash of a session's token is kept: who reads the file cannot log in with it.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Db, Error};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSession {
    pub token_hash: [u8; 32],
    pub csrf: String,
    pub user: String,
    pub groups: Vec<String>,
    pub created_ms: i64,
    pub seen_ms: i64,
    pub expires_ms: i64,
}

impl Db {
    pub async fn insert_session(&self, session: &LoginSession) -> Result<(), Error> {
        let LoginSession { token_hash, csrf, user, groups, created_ms, seen_ms, expires_ms } = session;
        let groups = serde_json::to_string(groups).expect("a list of strings is always JSON");
        sqlx::query("INSERT INTO login_sessions VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(&token_hash[..])
            .bind(csrf)
            .bind(user)
            .bind(groups)
            .bind(created_ms)
            .bind(seen_ms)
            .bind(expires_ms)
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|source| Error::Query { what: "keep the login session", source })
    }

    /// The session with this token, unless it has expired.
    pub async fn session(&self, token_hash: &[u8; 32], now_ms: i64) -> Result<Option<LoginSession>, Error> {
        let what = "look up the login session";
        sqlx::query("SELECT * FROM login_sessions WHERE token_hash = ? AND expires_ms > ?")
            .bind(&token_hash[..])
            .bind(now_ms)
            .fetch_optional(&self.pool)
            .await
            .and_then(|row| row.map(|row| read(&row)).transpose())
            .map_err(|source| Error::Query { what, source })
    }

    /// Notes that the session was used, and until when it now holds.
    pub async fn touch_session(&self, token_hash: &[u8; 32], seen_ms: i64, expires_ms: i64) -> Result<(), Error> {
        sqlx::query("UPDATE login_sessions SET seen_ms = ?, expires_ms = ? WHERE token_hash = ?")
            .bind(seen_ms)
            .bind(expires_ms)
            .bind(&token_hash[..])
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|source| Error::Query { what: "renew the login session", source })
    }

    pub async fn delete_session(&self, token_hash: &[u8; 32]) -> Result<(), Error> {
        sqlx::query("DELETE FROM login_sessions WHERE token_hash = ?")
            .bind(&token_hash[..])
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|source| Error::Query { what: "end the login session", source })
    }

    /// Removes what has expired; says how many.
    pub async fn purge_sessions(&self, now_ms: i64) -> Result<u64, Error> {
        sqlx::query("DELETE FROM login_sessions WHERE expires_ms <= ?")
            .bind(now_ms)
            .execute(&self.pool)
            .await
            .map(|done| done.rows_affected())
            .map_err(|source| Error::Query { what: "remove expired login sessions", source })
    }
}

fn read(row: &SqliteRow) -> Result<LoginSession, sqlx::Error> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let hash: Vec<u8> = row.try_get("token_hash")?;
    let groups: String = row.try_get("user_groups")?;
    Ok(LoginSession {
        token_hash: hash.try_into().map_err(|_| decode("a token hash is not 32 bytes long".into()))?,
        csrf: row.try_get("csrf")?,
        user: row.try_get("user_name")?,
        groups: serde_json::from_str(&groups).map_err(|error| decode(error.into()))?,
        created_ms: row.try_get("created_ms")?,
        seen_ms: row.try_get("seen_ms")?,
        expires_ms: row.try_get("expires_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(byte: u8, expires_ms: i64) -> LoginSession {
        LoginSession {
            token_hash: [byte; 32],
            csrf: "c".into(),
            user: "ada".into(),
            groups: vec!["a".into(), "b \"quoted\"".into()],
            created_ms: 1,
            seen_ms: 2,
            expires_ms,
        }
    }

    #[tokio::test]
    async fn a_session_survives_a_restart_until_it_expires_or_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("regatta.db");
        let db = Db::open(&path).await.unwrap();
        let (first, second) = (example(1, 100), example(2, 200));
        db.insert_session(&first).await.unwrap();
        db.insert_session(&second).await.unwrap();
        db.close().await;

        let db = Db::open(&path).await.unwrap();
        assert_eq!(db.session(&[1; 32], 99).await.unwrap(), Some(first));
        assert_eq!(db.session(&[1; 32], 100).await.unwrap(), None);
        db.touch_session(&[2; 32], 50, 300).await.unwrap();
        assert_eq!(db.session(&[2; 32], 250).await.unwrap().unwrap().seen_ms, 50);
        assert_eq!(db.purge_sessions(100).await.unwrap(), 1);
        db.delete_session(&[2; 32]).await.unwrap();
        assert_eq!(db.session(&[2; 32], 0).await.unwrap(), None);
    }
}
