//! The accounts and their tokens.

use std::{collections::VecDeque, time::Duration};

use crate::account::SimulatedAccount;

/// The most tokens that are valid at the same time. Beyond that the oldest becomes invalid.
const MAX_TOKENS: usize = 1_000;

struct Token {
    /// Counts tokens from 1, in order of issue.
    number: u64,
    word: String,
    client_id: String,
    expires: Duration,
}

pub(super) struct Access {
    accounts: Vec<SimulatedAccount>,
    lifetime: Duration,
    rng: fastrand::Rng,
    issued: u64,
    /// The valid tokens, oldest first.
    tokens: VecDeque<Token>,
}

impl Access {
    pub(super) fn new(
        accounts: Vec<SimulatedAccount>,
        lifetime: Duration,
        rng: fastrand::Rng,
    ) -> Self {
        Self {
            accounts,
            lifetime,
            rng,
            issued: 0,
            tokens: VecDeque::new(),
        }
    }

    pub(super) fn token_lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new access token, unless the pair is wrong.
    pub(super) fn issue_token(&mut self, id: &str, secret: &str, now: Duration) -> Option<String> {
        let mut accounts = self.accounts.iter();
        let account = accounts.find(|a| a.client_id == id && a.client_secret == secret)?;
        let client_id = account.client_id.clone();
        self.tokens.retain(|token| token.expires > now);
        if self.tokens.len() >= MAX_TOKENS {
            self.tokens.pop_front();
        }
        let word = format!("{:032x}", self.rng.u128(..));
        let expires = now.saturating_add(self.lifetime);
        self.issued = self.issued.saturating_add(1);
        self.tokens.push_back(Token {
            number: self.issued,
            word: word.clone(),
            client_id,
            expires,
        });
        Some(word)
    }

    /// The client id that a valid token belongs to.
    pub(super) fn authenticate(&self, word: &str, now: Duration) -> Option<&str> {
        let token = self.valid(word, now)?;
        Some(&token.client_id)
    }

    /// The number of a valid token, in order of issue.
    pub(super) fn number(&self, word: &str, now: Duration) -> Option<u64> {
        self.valid(word, now).map(|token| token.number)
    }

    fn valid(&self, word: &str, now: Duration) -> Option<&Token> {
        let token = self.tokens.iter().find(|token| token.word == word)?;
        (token.expires > now).then_some(token)
    }

    pub(super) fn revoke(&mut self, word: &str) {
        self.tokens.retain(|token| token.word != word);
    }

    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Changes a secret. Issued tokens stay valid. False for an unknown account.
    pub(super) fn set_secret(&mut self, client_id: &str, secret: String) -> bool {
        let mut accounts = self.accounts.iter_mut();
        let account = accounts.find(|account| account.client_id == client_id);
        account
            .map(|account| account.client_secret = secret)
            .is_some()
    }

    /// Gives a client id to another owner. False for an unknown account.
    pub(super) fn set_owner(&mut self, client_id: &str, owner: String) -> bool {
        let mut accounts = self.accounts.iter_mut();
        let account = accounts.find(|account| account.client_id == client_id);
        account.map(|account| account.owner = owner).is_some()
    }

    /// The owner of an account's instances.
    pub(super) fn owner(&self, client_id: &str) -> Option<&str> {
        let mut accounts = self.accounts.iter();
        let account = accounts.find(|account| account.client_id == client_id)?;
        Some(&account.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_lifetime_and_its_account() {
        let accounts = vec![
            SimulatedAccount::new("a", "sa"),
            SimulatedAccount::new("b", "sb"),
        ];
        let hour = Duration::from_secs(3600);
        let mut access = Access::new(accounts, hour, fastrand::Rng::with_seed(1));
        assert_eq!(access.issue_token("a", "sb", Duration::ZERO), None);
        let token = access.issue_token("b", "sb", Duration::ZERO).unwrap();
        assert_eq!(
            access.authenticate(&token, hour - Duration::from_nanos(1)),
            Some("b")
        );
        assert_eq!(access.authenticate(&token, hour), None);
        assert_eq!(access.number(&token, Duration::ZERO), Some(1));
        assert_eq!(access.number(&token, hour), None);
        let second = access.issue_token("a", "sa", Duration::ZERO).unwrap();
        assert_eq!(access.number(&second, Duration::ZERO), Some(2));
        assert_eq!(access.authenticate("made up", Duration::ZERO), None);
        assert!(access.set_secret("b", "new".into()));
        assert_eq!(access.authenticate(&token, Duration::ZERO), Some("b"));
        assert_eq!(access.issue_token("b", "sb", Duration::ZERO), None);
        access.revoke(&token);
        assert_eq!(access.authenticate(&token, Duration::ZERO), None);
    }
}
