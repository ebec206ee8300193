//! Passwords -> whether they are right, without holding a serving thread up.
//!
//! In: a name, a password, who may pass. Out: yes or no, after tens of milliseconds; at once if the same was right a while ago. Never: a
//! password that is kept; more work at once than half of the processors do; a queue without end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout};

use super::id::seed;
use super::rescue::Cause;
use crate::route::Passwords;

/// How many checks may wait, over all threads.
const WAITING: usize = 64;
/// How long one may wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a right password is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How many are, per thread.
const MOST: usize = 1024;

/// The daemon's processors, as far as passwords are checked on them. Clones share them.
#[derive(Debug, Clone)]
pub struct Verifier {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// What one thread knows of passwords.
#[derive(Debug)]
pub(super) struct Verdicts {
    verifier: Verifier,
    secret: [u8; 32],
    known: RefCell<HashMap<Key, Verdict>>,
}

/// A keyed hash of the file's version, the name and the password.
type Key = [u8; 32];

/// A check that is under way, or a password that was right.
#[derive(Debug)]
struct Verdict {
    since: Instant,
    /// Requests with the same password wait for one check.
    right: Rc<OnceCell<bool>>,
}

/// A place in the queue.
struct Place<'v>(&'v AtomicUsize);

impl Default for Verifier {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { permits: Arc::new(Semaphore::new((processors / 2).max(1))), waiting: Arc::default() }
    }
}

impl Verifier {
    /// Whether a password is right; [`Cause::PasswordsBusy`] if too many others wait.
    async fn verify(&self, passwords: &Arc<Passwords>, name: &str, password: &[u8]) -> Result<bool, Cause> {
        let place = Place::take(&self.waiting).ok_or(Cause::PasswordsBusy)?;
        // The semaphore is never closed.
        let permit = timeout(PATIENCE, self.permits.clone().acquire_owned()).await.ok().and_then(Result::ok).ok_or(Cause::PasswordsBusy)?;
        drop(place);
        let (passwords, name, password) = (passwords.clone(), name.to_owned(), password.to_vec());
        let check = tokio::task::spawn_blocking(move || {
            // Held until the work is done, whoever waits for it.
            let _permit = permit;
            passwords.verify(&name, &password)
        });
        check.await.map_err(|_| Cause::PasswordsBusy)
    }
}

impl<'v> Place<'v> {
    fn take(waiting: &'v AtomicUsize) -> Option<Self> {
        let room = |now: usize| (now < WAITING).then_some(now + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok().map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Verdicts {
    pub(super) fn new(verifier: Verifier) -> Self {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&seed().to_ne_bytes());
        }
        Self { verifier, secret, known: RefCell::default() }
    }

    /// Whether a password is right.
    pub(super) async fn is_right(&self, passwords: &Arc<Passwords>, name: &str, password: &[u8]) -> Result<bool, Cause> {
        let key = self.key(passwords, name, password);
        let right = self.verdict(key, Instant::now());
        let is_right = right.get_or_try_init(|| self.verifier.verify(passwords, name, password)).await.copied();
        if !matches!(is_right, Ok(true)) {
            self.forget(key, &right);
        }
        is_right
    }

    fn key(&self, passwords: &Passwords, name: &str, password: &[u8]) -> Key {
        let mut hash = Sha256::new_with_prefix(self.secret);
        hash.update(passwords.fingerprint());
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(password);
        hash.finalize().into()
    }

    /// What is known of a password, or the place where that is to be put.
    fn verdict(&self, key: Key, now: Instant) -> Rc<OnceCell<bool>> {
        let mut known = self.known.borrow_mut();
        if let Some(verdict) = known.get(&key).filter(|verdict| now - verdict.since < REMEMBERED) {
            return verdict.right.clone();
        }
        if known.len() >= MOST {
            known.retain(|_, verdict| now - verdict.since < REMEMBERED);
        }
        if known.len() >= MOST
            && let Some(oldest) = known.iter().min_by_key(|(_, verdict)| verdict.since).map(|(key, _)| *key)
        {
            known.remove(&oldest);
        }
        let right = Rc::<OnceCell<bool>>::default();
        known.insert(key, Verdict { since: now, right: right.clone() });
        right
    }

    /// A password that is wrong, or could not be checked, is not remembered.
    fn forget(&self, key: Key, right: &Rc<OnceCell<bool>>) {
        let mut known = self.known.borrow_mut();
        if known.get(&key).is_some_and(|verdict| Rc::ptr_eq(&verdict.right, right)) {
            known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(name: &str, password: &str) -> Arc<Passwords> {
        Arc::new(Passwords::read(format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap()).as_bytes()).0)
    }

    #[tokio::test]
    async fn a_right_password_is_remembered_for_its_file_and_a_wrong_one_is_not() {
        let (verdicts, before) = (Verdicts::new(Verifier::default()), passwords("bob", "secret"));
        assert!(verdicts.is_right(&before, "bob", b"secret").await.unwrap());
        for (name, password) in [("bob", &b"wrong"[..]), ("ann", b"secret"), ("bobs", b"ecret")] {
            assert!(!verdicts.is_right(&before, name, password).await.unwrap(), "{name}");
        }
        assert_eq!(verdicts.known.borrow().len(), 1);
        // Without anybody who could check, what is remembered is still known, but for this file only.
        verdicts.verifier.permits.close();
        assert!(verdicts.is_right(&before, "bob", b"secret").await.unwrap());
        assert!(verdicts.is_right(&before, "bob", b"wrong").await.is_err());
        assert!(verdicts.is_right(&passwords("bob", "other"), "bob", b"secret").await.is_err());
        assert_eq!(verdicts.known.borrow().len(), 1);
    }

    #[test]
    fn what_is_remembered_is_forgotten_after_a_while_and_bounded() {
        let (verdicts, now) = (Verdicts::new(Verifier::default()), Instant::now());
        let key = |index: usize| [index.to_ne_bytes(); 4].concat().try_into().unwrap();
        let at = |index: usize| now + Duration::from_millis(index as u64);
        for index in 0..2 * MOST {
            verdicts.verdict(key(index), at(index)).set(true).unwrap();
        }
        assert_eq!(verdicts.known.borrow().len(), MOST);
        assert!(!verdicts.known.borrow().contains_key(&key(MOST - 1)), "the oldest goes first");
        let last = 2 * MOST - 1;
        assert!(verdicts.verdict(key(last), at(last)).initialized());
        assert!(!verdicts.verdict(key(last), at(last) + REMEMBERED).initialized());
    }

    #[tokio::test]
    async fn a_queue_that_is_full_takes_nobody() {
        let verifier = Verifier::default();
        let places: Vec<_> = (0..WAITING).map(|_| Place::take(&verifier.waiting).unwrap()).collect();
        let busy = verifier.verify(&passwords("bob", "secret"), "bob", b"secret").await;
        assert!(matches!(busy, Err(Cause::PasswordsBusy)));
        drop(places);
        assert!(verifier.verify(&passwords("bob", "secret"), "bob", b"secret").await.unwrap());
    }

    #[tokio::test]
    async fn requests_with_one_password_wait_for_one_check() {
        let (verdicts, file) = (Verdicts::new(Verifier::default()), passwords("bob", "secret"));
        let all =
            verdicts.verifier.permits.clone().acquire_many_owned(u32::try_from(verdicts.verifier.permits.available_permits()).unwrap());
        let all = all.await.unwrap();
        let ask = || verdicts.is_right(&file, "bob", b"secret");
        let check = async {
            tokio::task::yield_now().await;
            assert_eq!(verdicts.verifier.waiting.load(Ordering::Relaxed), 1);
            drop(all);
        };
        let (first, second, third, ()) = tokio::join!(ask(), ask(), ask(), check);
        assert!(first.unwrap() && second.unwrap() && third.unwrap());
    }
}
