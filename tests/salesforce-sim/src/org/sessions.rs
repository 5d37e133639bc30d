//! Access tokens, refresh tokens and authorization codes.
//!
//! Refresh tokens come in families: with rotation each refresh replaces the token and ends the session it made
//! before, and a token used a second time revokes its whole family. Only one request may use a refresh token
//! at a time.

use std::collections::{HashMap, HashSet};

use super::secret;
use crate::id::SfId;

/// A session that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(u64);

/// What a refresh token was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Unknown, used before or revoked.
    Expired,
    /// Another request is using it now.
    Busy,
}

/// A grant made by an authorization code, waiting to be fetched.
#[derive(Clone, Debug)]
pub struct Code {
    /// The callback it was sent to.
    pub redirect_uri: String,
    /// PKCE challenge (S256).
    pub challenge: Option<String>,
    /// When it was made.
    pub at: i64,
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    last_used: i64,
    family: Option<u64>,
}

#[derive(Debug, Default)]
struct Family {
    current: String,
    retired: HashSet<String>,
}

/// All sessions of an org.
#[derive(Debug)]
pub struct Sessions {
    org: SfId,
    ttl_ms: i64,
    rotation: bool,
    next: u64,
    live: HashMap<String, Session>,
    families: HashMap<u64, Family>,
    busy: HashSet<String>,
    codes: HashMap<String, Code>,
}

impl Sessions {
    /// No sessions. A session ends when unused for `ttl_ms`.
    pub fn new(org: SfId, ttl_ms: i64, rotation: bool) -> Self {
        Self {
            org,
            ttl_ms,
            rotation,
            next: 1,
            live: HashMap::new(),
            families: HashMap::new(),
            busy: HashSet::new(),
            codes: HashMap::new(),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Opens a session and returns its access token.
    pub fn open(&mut self, now: i64) -> String {
        self.open_in(None, now)
    }

    fn open_in(&mut self, family: Option<u64>, now: i64) -> String {
        let token = format!("{}!AQ4A{}", self.org.short(), secret(66));
        let id = SessionId(self.number());
        self.live.insert(token.clone(), Session { id, last_used: now, family });
        token
    }

    /// Opens a session with a refresh token beside it: (access token, refresh token).
    pub fn open_with_refresh(&mut self, now: i64) -> (String, String) {
        let family = self.number();
        let refresh = format!("5Aep861{}{}", self.org.short(), secret(60));
        self.families.insert(family, Family { current: refresh.clone(), retired: HashSet::new() });
        (self.open_in(Some(family), now), refresh)
    }

    /// The live session of an access token; using it keeps it alive.
    pub fn authenticate(&mut self, token: &str, now: i64) -> Option<SessionId> {
        let session = self.live.get_mut(token)?;
        if now - session.last_used > self.ttl_ms {
            self.live.remove(token);
            return None;
        }
        session.last_used = now;
        Some(session.id)
    }

    /// Whether a session still lives.
    pub fn is_live(&self, id: SessionId, now: i64) -> bool {
        self.live.values().any(|session| session.id == id && now - session.last_used <= self.ttl_ms)
    }

    /// Claims a refresh token for one request; [`Sessions::release`] must follow.
    ///
    /// # Errors
    /// [`Refused::Busy`] while another request holds it.
    pub fn claim(&mut self, refresh: &str) -> Result<(), Refused> {
        if self.busy.insert(refresh.to_owned()) { Ok(()) } else { Err(Refused::Busy) }
    }

    /// Ends a claim.
    pub fn release(&mut self, refresh: &str) {
        self.busy.remove(refresh);
    }

    /// A new access token for a refresh token, and with rotation a new refresh token.
    ///
    /// # Errors
    /// [`Refused::Expired`]; a token that was rotated away takes its family with it.
    pub fn refresh(&mut self, refresh: &str, now: i64) -> Result<(String, Option<String>), Refused> {
        let stolen =
            self.families.iter().find(|(_, family)| family.retired.contains(refresh)).map(|(id, _)| *id);
        if let Some(family) = stolen {
            self.end_family(family);
        }
        let found = self.families.iter().find(|(_, family)| family.current == refresh).map(|(id, _)| *id);
        let family = found.ok_or(Refused::Expired)?;
        if !self.rotation {
            return Ok((self.open_in(Some(family), now), None));
        }
        self.live.retain(|_, session| session.family != Some(family));
        let fresh = format!("5Aep861{}{}", self.org.short(), secret(60));
        if let Some(family) = self.families.get_mut(&family) {
            let old = std::mem::replace(&mut family.current, fresh.clone());
            family.retired.insert(old);
        }
        Ok((self.open_in(Some(family), now), Some(fresh)))
    }

    fn end_family(&mut self, family: u64) {
        self.families.remove(&family);
        self.live.retain(|_, session| session.family != Some(family));
    }

    /// Revokes an access or refresh token; `false` when it is unknown.
    pub fn revoke(&mut self, token: &str) -> bool {
        if self.live.remove(token).is_some() {
            return true;
        }
        let found = self.families.iter().find(|(_, family)| family.current == token).map(|(id, _)| *id);
        if let Some(family) = found {
            self.end_family(family);
        }
        found.is_some()
    }

    /// Ends every session; refresh tokens stay good. Returns how many ended.
    pub fn expire_all(&mut self) -> usize {
        let ended = self.live.len();
        self.live.clear();
        ended
    }

    /// Makes an authorization code.
    pub fn add_code(&mut self, code: Code) -> String {
        let text = format!("aPrx{}", secret(48));
        self.codes.insert(text.clone(), code);
        text
    }

    /// Fetches an authorization code, once.
    pub fn take_code(&mut self, code: &str) -> Option<Code> {
        self.codes.remove(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(rotation: bool) -> Sessions {
        Sessions::new(SfId::new(*b"00D", *b"Rf", 1), 1_000, rotation)
    }

    #[test]
    fn a_session_ends_when_unused() {
        let mut all = sessions(false);
        let token = all.open(0);
        let id = all.authenticate(&token, 900).unwrap();
        assert!(all.is_live(id, 1_900));
        assert!(!all.is_live(id, 1_901));
        assert_eq!(all.authenticate(&token, 1_901), None);
    }

    #[test]
    fn rotation_ends_the_session_before_and_reuse_ends_the_family() {
        let mut all = sessions(true);
        let (access, first) = all.open_with_refresh(0);
        let (second_access, second) = all.refresh(&first, 1).unwrap();
        assert_eq!(all.authenticate(&access, 2), None);
        assert!(all.authenticate(&second_access, 2).is_some());
        assert_eq!(all.refresh(&first, 3), Err(Refused::Expired));
        assert_eq!(all.authenticate(&second_access, 3), None);
        assert_eq!(all.refresh(&second.unwrap(), 3), Err(Refused::Expired));
    }

    #[test]
    fn without_rotation_the_refresh_token_stays() {
        let mut all = sessions(false);
        let (access, refresh) = all.open_with_refresh(0);
        assert_eq!(all.refresh(&refresh, 1).unwrap().1, None);
        assert!(all.refresh(&refresh, 2).is_ok());
        assert!(all.authenticate(&access, 2).is_some());
    }

    #[test]
    fn one_request_at_a_time_holds_a_refresh_token() {
        let mut all = sessions(true);
        assert_eq!(all.claim("x"), Ok(()));
        assert_eq!(all.claim("x"), Err(Refused::Busy));
        all.release("x");
        assert_eq!(all.claim("x"), Ok(()));
    }
}
