//! Who is logged in: one-time codes, and the sessions they become. A restart keeps sessions and forgets codes.
//! Must not know HTTP beyond the two headers that carry a session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::secret;
use crate::apiserver::User;
use crate::db::{self, Db, LoginSession};

pub const COOKIE: &str = "regatta_session";

/// A session ends when it was not used for this long.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// How exactly "last seen" is kept: a write per request would cost more than the request.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// Long enough to walk to the phone.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// Codes that may wait at once; when there are more, the oldest no longer works.
const MAX_CODES: usize = 64;

/// Cookies of that name looked at: a sibling on the same machine may have set one too.
const MAX_COOKIES: usize = 4;

/// Codes that were given out and not yet used. In memory only.
#[derive(Default)]
pub struct LoginCodes {
    waiting: Mutex<HashMap<[u8; 32], (User, Instant)>>,
}

impl LoginCodes {
    /// A fresh code that logs in as `user`, once.
    pub fn issue(&self, user: User, now: Instant) -> String {
        let code = secret::code();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (_, issued)| now.duration_since(*issued) < CODE_LIFETIME);
        if waiting.len() >= MAX_CODES {
            let oldest = waiting.iter().min_by_key(|(_, (_, issued))| *issued).map(|(hash, _)| *hash);
            if let Some(oldest) = oldest {
                waiting.remove(&oldest);
            }
        }
        waiting.insert(secret::hash(&code), (user, now));
        code
    }

    /// Uses a code up.
    pub fn redeem(&self, code: &str, now: Instant) -> Option<User> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, issued) = waiting.remove(&secret::hash(code))?;
        (now.duration_since(issued) < CODE_LIFETIME).then_some(user)
    }

    pub const fn lifetime() -> Duration {
        CODE_LIFETIME
    }
}

pub struct Sessions {
    db: Db,
    /// Sessions seen since the start, so that a request costs no disk. At most as many as there are valid ones.
    active: Mutex<HashMap<[u8; 32], Arc<Active>>>,
}

/// A session in use.
pub struct Active {
    session: Mutex<LoginSession>,
    pub csrf: String,
    pub user: User,
    /// Ends what the session opened: terminals, watches.
    pub ended: CancellationToken,
}

impl Sessions {
    pub fn new(db: Db) -> Sessions {
        Sessions { db, active: Mutex::default() }
    }

    /// Starts a session; the token goes into the cookie and nowhere else.
    pub async fn start(&self, user: User, now: Timestamp) -> Result<(String, Arc<Active>), db::Error> {
        self.db.purge_sessions(now.as_millisecond()).await?;
        let token = secret::token();
        let session = LoginSession {
            token_hash: secret::hash(&token),
            csrf: secret::token(),
            user: user.name,
            groups: user.groups,
            created_ms: now.as_millisecond(),
            seen_ms: now.as_millisecond(),
            expires_ms: expiry(now),
        };
        self.db.insert_session(&session).await?;
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.retain(|_, known| known.expires_ms() > now.as_millisecond());
        let fresh = Arc::new(Active::new(session));
        active.insert(secret::hash(&token), fresh.clone());
        Ok((token, fresh))
    }

    /// The session a request's cookies belong to.
    pub async fn find(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Arc<Active>>, db::Error> {
        for token in tokens(headers).take(MAX_COOKIES) {
            if let Some(active) = self.lookup(&secret::hash(token), now).await? {
                // A disk that is full must not lock people out of what could free it.
                if let Err(error) = self.seen(&active, now).await {
                    tracing::warn!(%error, "a login session will not last longer for being used");
                }
                return Ok(Some(active));
            }
        }
        Ok(None)
    }

    pub async fn end(&self, active: &Active) -> Result<(), db::Error> {
        let hash = active.with(|session| session.token_hash);
        self.db.delete_session(&hash).await?;
        self.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash);
        active.ended.cancel();
        Ok(())
    }

    async fn lookup(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Arc<Active>>, db::Error> {
        let known = self.active.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned();
        if let Some(known) = known {
            return Ok((known.expires_ms() > now.as_millisecond()).then_some(known));
        }
        let Some(session) = self.db.session(hash, now.as_millisecond()).await? else { return Ok(None) };
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request may have been faster; all must share one `ended`.
        Ok(Some(active.entry(*hash).or_insert_with(|| Arc::new(Active::new(session))).clone()))
    }

    async fn seen(&self, active: &Active, now: Timestamp) -> Result<(), db::Error> {
        let now_ms = now.as_millisecond();
        let due = active.with(|session| {
            let due = now_ms - session.seen_ms >= SEEN_EVERY.as_millis() as i64;
            if due {
                session.seen_ms = now_ms;
                session.expires_ms = expiry(now);
            }
            due.then(|| session.clone())
        });
        match due {
            None => Ok(()),
            Some(session) => self.db.touch_session(&session.token_hash, session.seen_ms, session.expires_ms).await,
        }
    }
}

impl Active {
    fn new(session: LoginSession) -> Active {
        Active {
            csrf: session.csrf.clone(),
            user: User { name: session.user.clone(), groups: session.groups.clone(), ..User::default() },
            session: Mutex::new(session),
            ended: CancellationToken::new(),
        }
    }

    /// Whether this is the session's own token.
    pub fn has_token(&self, token: &str) -> bool {
        let hash = secret::hash(token);
        self.with(|session| session.token_hash == hash)
    }

    fn with<T>(&self, read: impl FnOnce(&mut LoginSession) -> T) -> T {
        read(&mut self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn expires_ms(&self) -> i64 {
        self.with(|session| session.expires_ms)
    }
}

fn expiry(now: Timestamp) -> i64 {
    now.as_millisecond() + LIFETIME.as_millis() as i64
}

/// The header that makes a browser keep a session, or (without a token) forget it.
pub fn set_cookie(token: Option<&str>, secure: bool) -> HeaderValue {
    let (value, age) = match token {
        Some(token) => (token, LIFETIME.as_secs()),
        None => ("", 0),
    };
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age}{secure}");
    HeaderValue::try_from(cookie).expect("base64 and fixed text are header text")
}

/// Every token the browser sends under our name.
pub fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_works_once_and_for_minutes() {
        let codes = LoginCodes::default();
        let now = Instant::now();
        let code = codes.issue(User::admin(), now);
        assert!(codes.redeem("", now).is_none());
        assert!(codes.redeem(&code[..21], now).is_none());
        assert_eq!(codes.redeem(&code, now).unwrap().name, "admin");
        assert!(codes.redeem(&code, now).is_none(), "single use");
        let late = codes.issue(User::admin(), now);
        assert!(codes.redeem(&late, now + CODE_LIFETIME).is_none());
    }

    #[test]
    fn codes_do_not_pile_up() {
        let codes = LoginCodes::default();
        let start = Instant::now();
        let first = codes.issue(User::admin(), start);
        for n in 1..=MAX_CODES as u64 {
            codes.issue(User::admin(), start + Duration::from_millis(n));
        }
        assert_eq!(codes.waiting.lock().unwrap().len(), MAX_CODES);
        assert!(codes.redeem(&first, start + Duration::from_secs(1)).is_none());
    }

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; regatta_session=one;regatta_sessionx=no".parse().unwrap());
        headers.append(header::COOKIE, "regatta_session=two; =; x".parse().unwrap());
        assert_eq!(tokens(&headers).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[tokio::test]
    async fn a_session_slides_while_it_is_used_and_ends_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("regatta.db")).await.unwrap();
        let sessions = Sessions::new(db.clone());
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (token, first) = sessions.start(User::admin(), start).await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("{COOKIE}=wrong; {COOKIE}={token}").parse().unwrap());

        let later = start + Duration::from_secs(29 * 24 * 3600);
        let found = sessions.find(&headers, later).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&found, &first));
        let after_restart = Sessions::new(db);
        let much_later = start + Duration::from_secs(40 * 24 * 3600);
        let found = after_restart.find(&headers, much_later).await.unwrap().expect("it was used on day 29");
        assert_eq!((found.user.name.as_str(), &found.csrf), ("admin", &first.csrf));
        after_restart.end(&found).await.unwrap();
        assert!(found.ended.is_cancelled());
        assert!(after_restart.find(&headers, much_later).await.unwrap().is_none());
    }
}
