//! Access tokens, refresh tokens and authorization codes.
//!
//! Refresh tokens come in families, one for each approval: with rotation each refresh replaces the token and ends
//! the session it made before, and a token used a second time revokes its whole family. Only one request may use a
//! refresh token at a time. A user may approve an app five times; the sixth approval ends the oldest.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::secret;
use crate::id::SfId;

/// Approvals that a user may have open for one app.
const MOST_APPROVALS: usize = 5;

/// A session that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(u64);

/// What a session may be used for, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user it acts as.
    pub user: SfId,
    /// Scopes, separated by blanks.
    pub scope: String,
}

/// A session as requests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which one.
    pub id: SessionId,
    /// What it may be used for, and by whom.
    pub grant: Grant,
}

/// Tokens made together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Opens the APIs.
    pub access: String,
    /// Opens further sessions; absent when the one used stays good.
    pub refresh: Option<String>,
    /// What they are good for.
    pub grant: Grant,
}

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
    /// What was approved, and by whom.
    pub grant: Grant,
    /// The callback it was sent to.
    pub redirect_uri: String,
    /// PKCE challenge (S256).
    pub challenge: Option<String>,
    /// When it was made.
    pub at: i64,
}

/// How long tokens live.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Lifetimes {
    /// A session ends when unused for this long.
    pub session_ms: i64,
    /// A refresh token ends when unused for this long.
    pub refresh_idle_ms: Option<i64>,
    /// Whether refresh tokens are replaced at each use.
    pub rotation: bool,
    /// Whether the reuse of a replaced refresh token ends its family.
    pub punish_reuse: bool,
}

#[derive(Debug)]
struct Open {
    session: Session,
    last_used: i64,
    family: Option<u64>,
}

#[derive(Debug)]
struct Family {
    grant: Grant,
    current: String,
    retired: HashSet<String>,
    last_used: i64,
}

/// All sessions of an org.
#[derive(Debug)]
pub struct Sessions {
    org: SfId,
    /// How long tokens live.
    pub lifetimes: Lifetimes,
    next: u64,
    live: HashMap<String, Open>,
    families: HashMap<u64, Family>,
    busy: HashSet<String>,
    codes: HashMap<String, Code>,
    spent_codes: HashMap<String, u64>,
    assertions: HashSet<String>,
}

impl Sessions {
    /// No sessions.
    pub fn new(org: SfId, lifetimes: Lifetimes) -> Self {
        Self {
            org,
            lifetimes,
            next: 1,
            live: HashMap::new(),
            families: HashMap::new(),
            busy: HashSet::new(),
            codes: HashMap::new(),
            spent_codes: HashMap::new(),
            assertions: HashSet::new(),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Opens a session and returns its access token.
    pub fn open(&mut self, grant: Grant, now: i64) -> String {
        self.open_in(None, grant, now)
    }

    fn open_in(&mut self, family: Option<u64>, grant: Grant, now: i64) -> String {
        let token = format!("{}!AQ4A{}", self.org.short(), secret(66));
        let session = Session { id: SessionId(self.number()), grant };
        self.live.insert(token.clone(), Open { session, last_used: now, family });
        token
    }

    fn refresh_token(&self) -> String {
        format!("5Aep861{}{}", self.org.short(), secret(60))
    }

    /// Opens a session with a refresh token beside it, unless the scope allows none.
    pub fn open_with_refresh(&mut self, grant: Grant, now: i64) -> Tokens {
        if !grant.scope.split(' ').any(|scope| scope == "refresh_token" || scope == "offline_access") {
            return Tokens { access: self.open(grant.clone(), now), refresh: None, grant };
        }
        self.end_oldest_approval(grant.user);
        let (family, current) = (self.number(), self.refresh_token());
        let refresh = Some(current.clone());
        let made = Family { grant: grant.clone(), current, retired: HashSet::new(), last_used: now };
        self.families.insert(family, made);
        Tokens { access: self.open_in(Some(family), grant.clone(), now), refresh, grant }
    }

    /// Makes room for one more approval of a user.
    fn end_oldest_approval(&mut self, user: SfId) {
        let mut approvals: Vec<u64> =
            self.families.iter().filter(|(_, family)| family.grant.user == user).map(|(id, _)| *id).collect();
        approvals.sort_unstable();
        let excess = (approvals.len() + 1).saturating_sub(MOST_APPROVALS);
        for family in approvals.into_iter().take(excess) {
            self.end_family(family);
        }
    }

    /// The live session of an access token; using it keeps it alive.
    pub fn authenticate(&mut self, token: &str, now: i64) -> Option<Session> {
        let session_ms = self.lifetimes.session_ms;
        let open = self.live.get_mut(token)?;
        if now - open.last_used > session_ms {
            self.live.remove(token);
            return None;
        }
        open.last_used = now;
        Some(open.session.clone())
    }

    /// The session of an access token and when it will end if unused, without using it.
    pub fn peek(&self, token: &str, now: i64) -> Option<(Session, i64)> {
        let open = self.live.get(token)?;
        let until = open.last_used + self.lifetimes.session_ms;
        (now <= until).then(|| (open.session.clone(), until))
    }

    /// What a refresh token is good for.
    pub fn peek_refresh(&self, token: &str) -> Option<Grant> {
        self.families.values().find(|family| family.current == token).map(|family| family.grant.clone())
    }

    /// Whether a session still lives.
    pub fn is_live(&self, id: SessionId, now: i64) -> bool {
        let session_ms = self.lifetimes.session_ms;
        self.live.values().any(|open| open.session.id == id && now - open.last_used <= session_ms)
    }

    /// Claims a refresh token or code for one request; [`Sessions::release`] must follow.
    ///
    /// # Errors
    /// [`Refused::Busy`] while another request holds it.
    pub fn claim(&mut self, token: &str) -> Result<(), Refused> {
        if self.busy.insert(token.to_owned()) { Ok(()) } else { Err(Refused::Busy) }
    }

    /// Ends a claim.
    pub fn release(&mut self, token: &str) {
        self.busy.remove(token);
    }

    /// A new access token for a refresh token, and with rotation a new refresh token.
    ///
    /// # Errors
    /// [`Refused::Expired`]; a token that was rotated away takes its family with it.
    pub fn refresh(&mut self, refresh: &str, now: i64) -> Result<Tokens, Refused> {
        let stolen =
            self.families.iter().find(|(_, family)| family.retired.contains(refresh)).map(|(id, _)| *id);
        if let Some(family) = stolen.filter(|_| self.lifetimes.punish_reuse) {
            self.end_family(family);
        }
        let found = self.families.iter().find(|(_, family)| family.current == refresh).map(|(id, _)| *id);
        let family = found.ok_or(Refused::Expired)?;
        let fresh = self.lifetimes.rotation.then(|| self.refresh_token());
        let idle = self.lifetimes.refresh_idle_ms;
        let Some(entry) = self.families.get_mut(&family) else {
            return Err(Refused::Expired);
        };
        if idle.is_some_and(|idle| now - entry.last_used > idle) {
            self.end_family(family);
            return Err(Refused::Expired);
        }
        entry.last_used = now;
        let grant = entry.grant.clone();
        if let Some(fresh) = &fresh {
            let old = std::mem::replace(&mut entry.current, fresh.clone());
            entry.retired.insert(old);
            self.live.retain(|_, open| open.family != Some(family));
        }
        Ok(Tokens { access: self.open_in(Some(family), grant.clone(), now), refresh: fresh, grant })
    }

    fn end_family(&mut self, family: u64) {
        self.families.remove(&family);
        self.live.retain(|_, open| open.family != Some(family));
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

    /// Ends every session of a user; refresh tokens stay good.
    pub fn expire_user(&mut self, user: SfId) {
        self.live.retain(|_, open| open.session.grant.user != user);
    }

    /// Ends every session and every refresh token. Returns how many refresh tokens there were.
    pub fn revoke_all(&mut self) -> usize {
        self.live.clear();
        let ended = self.families.len();
        self.families.clear();
        ended
    }

    /// Makes an authorization code.
    pub fn add_code(&mut self, code: Code) -> String {
        // Real codes end in two characters that must be escaped in a URL.
        let text = format!("aPrx{}==", secret(48));
        self.codes.insert(text.clone(), code);
        text
    }

    /// Fetches an authorization code, once. A second attempt ends what the first one opened.
    pub fn take_code(&mut self, code: &str) -> Option<Code> {
        let taken = self.codes.remove(code);
        if taken.is_none()
            && let Some(family) = self.spent_codes.remove(code)
        {
            self.end_family(family);
        }
        taken
    }

    /// Remembers what a code opened, for the case that it is used again.
    pub fn note_spent(&mut self, code: &str, refresh: Option<&str>) {
        let opened = self.families.iter().find(|(_, family)| Some(family.current.as_str()) == refresh);
        if let Some(family) = opened.map(|(id, _)| *id) {
            self.spent_codes.insert(code.to_owned(), family);
        }
    }

    /// Remembers a JWT; `false` when it was shown before.
    pub fn note_assertion(&mut self, assertion: &str) -> bool {
        self.assertions.insert(assertion.to_owned())
    }

    /// Whether a code waits to be fetched.
    pub fn has_code(&self, code: &str) -> bool {
        self.codes.contains_key(code) || self.spent_codes.contains_key(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant { user: SfId::new(*b"005", *b"Rf", 1), scope: "api refresh_token id".to_owned() }
    }

    fn sessions(rotation: bool) -> Sessions {
        let lifetimes = Lifetimes { session_ms: 1_000, refresh_idle_ms: None, rotation, punish_reuse: true };
        Sessions::new(SfId::new(*b"00D", *b"Rf", 1), lifetimes)
    }

    fn opened(all: &mut Sessions, now: i64) -> (String, String) {
        let tokens = all.open_with_refresh(grant(), now);
        (tokens.access, tokens.refresh.unwrap())
    }

    #[test]
    fn a_session_ends_when_unused() {
        let mut all = sessions(false);
        let token = all.open(grant(), 0);
        let id = all.authenticate(&token, 900).unwrap().id;
        assert!(all.is_live(id, 1_900));
        assert!(!all.is_live(id, 1_901));
        assert_eq!(all.authenticate(&token, 1_901), None);
    }

    #[test]
    fn rotation_ends_the_session_before_and_reuse_ends_the_family() {
        let mut all = sessions(true);
        let (access, first) = opened(&mut all, 0);
        let second = all.refresh(&first, 1).unwrap();
        assert_eq!(all.authenticate(&access, 2), None);
        assert!(all.authenticate(&second.access, 2).is_some());
        assert_eq!(all.refresh(&first, 3), Err(Refused::Expired));
        assert_eq!(all.authenticate(&second.access, 3), None);
        assert_eq!(all.refresh(&second.refresh.unwrap(), 3), Err(Refused::Expired));
    }

    #[test]
    fn reuse_goes_unpunished_where_the_org_says_so() {
        let mut all = sessions(true);
        all.lifetimes.punish_reuse = false;
        let (_, first) = opened(&mut all, 0);
        let second = all.refresh(&first, 1).unwrap();
        assert_eq!(all.refresh(&first, 2), Err(Refused::Expired));
        assert!(all.refresh(&second.refresh.unwrap(), 3).is_ok());
    }

    #[test]
    fn without_rotation_the_refresh_token_stays() {
        let mut all = sessions(false);
        let (access, refresh) = opened(&mut all, 0);
        assert_eq!(all.refresh(&refresh, 1).unwrap().refresh, None);
        assert!(all.refresh(&refresh, 2).is_ok());
        assert!(all.authenticate(&access, 2).is_some());
    }

    #[test]
    fn an_idle_refresh_token_dies_and_use_keeps_it() {
        let mut all = sessions(false);
        all.lifetimes.refresh_idle_ms = Some(100);
        let (_, refresh) = opened(&mut all, 0);
        assert!(all.refresh(&refresh, 90).is_ok());
        assert!(all.refresh(&refresh, 190).is_ok());
        assert_eq!(all.refresh(&refresh, 291), Err(Refused::Expired));
    }

    #[test]
    fn the_sixth_approval_ends_the_first() {
        let mut all = sessions(false);
        let made: Vec<String> = (0..6).map(|at| opened(&mut all, at).1).collect();
        assert_eq!(all.refresh(&made[0], 10), Err(Refused::Expired));
        assert!(made[1..].iter().all(|refresh| all.refresh(refresh, 10).is_ok()));
    }

    #[test]
    fn a_code_used_twice_ends_what_it_opened() {
        let mut all = sessions(false);
        let code = Code { grant: grant(), redirect_uri: String::new(), challenge: None, at: 0 };
        let text = all.add_code(code);
        assert!(all.take_code(&text).is_some());
        let (_, refresh) = opened(&mut all, 0);
        all.note_spent(&text, Some(&refresh));
        assert!(all.take_code(&text).is_none());
        assert_eq!(all.refresh(&refresh, 1), Err(Refused::Expired));
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
