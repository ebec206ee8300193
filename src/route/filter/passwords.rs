//! An htpasswd file -> names and hashes (pure).
//!
//! In: lines `name:hash`, as `htpasswd -B` and `argon2` write them. Out: whether a password is right, slowly. Never: a hash that is fast
//! to guess, one that would keep a processor busy for long, a password that is kept.

use std::collections::HashMap;
use std::hint::black_box;

use argon2::{Argon2, Params, PasswordHash, PasswordVerifier};
use bcrypt::HashParts;
use sha2::{Digest, Sha256};

use crate::names::shown;

/// The highest cost of bcrypt: about a second. Each step doubles it.
const MOST_COST: u32 = 14;
/// What one look at a password hashed by argon2 may use: KiB of memory, and of memory times passes.
const MOST_MEMORY: u32 = 128 << 10;
const MOST_WORK: u64 = 512 << 10;
/// The most lanes that argon2 may have.
const MOST_LANES: u32 = 16;

/// Names, and what their passwords are checked against.
#[derive(Debug)]
pub struct Passwords {
    users: HashMap<Box<str>, Stored>,
    /// What is looked at for names that are not there, so that they take as long as others.
    likeness: Option<Stored>,
    fingerprint: [u8; 32],
}

/// A line that lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// Its number, from 1.
    pub line: usize,
    /// The name, fit to be shown.
    pub name: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

#[derive(Debug, Clone)]
enum Stored {
    Bcrypt(Box<str>),
    Argon2(Box<str>),
}

impl Passwords {
    /// Reads a file. Of two lines with one name the first counts, as for Apache and nginx. Lines that can't be used are listed.
    #[must_use]
    pub fn read(file: &[u8]) -> (Self, Vec<Unusable>) {
        let (mut users, mut likeness, mut unusable) = (HashMap::new(), None, Vec::new());
        for (index, line) in file.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            match read_line(line) {
                Ok((name, stored)) => {
                    likeness.get_or_insert_with(|| stored.clone());
                    users.entry(name.into()).or_insert(stored);
                }
                Err((name, problem)) => unusable.push(Unusable { line: index + 1, name, problem }),
            }
        }
        (Self { users, likeness, fingerprint: Self::fingerprint_of(file) }, unusable)
    }

    /// Whether this is the name's password. It takes tens of milliseconds, whether the name is there or not.
    #[must_use]
    pub fn verify(&self, name: &str, password: &[u8]) -> bool {
        if let Some(stored) = self.users.get(name) {
            return stored.verify(password);
        }
        if let Some(likeness) = &self.likeness {
            black_box(likeness.verify(password));
        }
        false
    }

    /// Whether there is nobody who could be let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Tells versions of files apart.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The fingerprint of what would be read from this file.
    #[must_use]
    pub fn fingerprint_of(file: &[u8]) -> [u8; 32] {
        Sha256::digest(file).into()
    }
}

impl Stored {
    fn verify(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Argon2(hash) => PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
        }
    }
}

/// A name and its hash, or the name and what is wrong with the line.
fn read_line(line: &[u8]) -> Result<(&str, Stored), (String, &'static str)> {
    let text = std::str::from_utf8(line).map_err(|_| (String::new(), "the line is not UTF-8"))?;
    let Some((name, rest)) = text.split_once(':') else {
        // It may be a password that stands alone: it is not shown.
        return Err((String::new(), "the line has no `:`"));
    };
    let fail = |problem| (shown(name), problem);
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(fail("the name is empty, or holds a control character"));
    }
    // Whatever follows a second colon is a comment.
    let hash = rest.split(':').next().unwrap_or(rest);
    let stored = if ["$2a$", "$2b$", "$2y$"].iter().any(|start| hash.starts_with(start)) {
        check_bcrypt(hash).map(|()| Stored::Bcrypt(hash.into()))
    } else if ["$argon2id$", "$argon2i$", "$argon2d$"].iter().any(|start| hash.starts_with(start)) {
        check_argon2(hash).map(|()| Stored::Argon2(hash.into()))
    } else {
        Err("the hash is neither of bcrypt nor of argon2")
    };
    stored.map(|stored| (name, stored)).map_err(fail)
}

fn check_bcrypt(hash: &str) -> Result<(), &'static str> {
    let parts: HashParts = hash.parse().map_err(|_| "the hash is not a whole one of bcrypt")?;
    let digits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    if !hash.bytes().skip(7).all(digits) || hash.len() != 60 {
        return Err("the hash is not a whole one of bcrypt");
    }
    if (4..=MOST_COST).contains(&parts.get_cost()) { Ok(()) } else { Err("the cost of bcrypt is not between 4 and 14") }
}

fn check_argon2(hash: &str) -> Result<(), &'static str> {
    let broken = "the hash is not a whole one of argon2";
    let hash = PasswordHash::new(hash).map_err(|_| broken)?;
    let params = Params::try_from(&hash).map_err(|_| broken)?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(broken);
    }
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() > MOST_MEMORY || work > MOST_WORK || params.p_cost() > MOST_LANES {
        return Err("argon2 takes more than 128 MiB, than 512 MiB in all its passes, or than 16 lanes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher, Salt};

    use super::*;

    fn bcrypt(password: &str) -> String {
        bcrypt::hash(password, 4).unwrap()
    }

    fn argon2(algorithm: argon2::Algorithm, password: &str) -> String {
        let params = Params::new(64, 1, 1, None).unwrap();
        let hasher = Argon2::new(algorithm, argon2::Version::V0x13, params);
        hasher.hash_password(password.as_bytes(), Salt::from_b64("c2FsdHNhbHRzYWx0").unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_password_is_right_for_its_name_only() {
        let y = bcrypt("one").replacen("$2b$", "$2y$", 1);
        let (id, i, d) = (argon2::Algorithm::Argon2id, argon2::Algorithm::Argon2i, argon2::Algorithm::Argon2d);
        let file = format!(
            "# people\n\nbob:{y}\r\nann:{}:a comment\n eve:{}\nsue:{}\nbob:{}\n",
            argon2(id, "two"),
            argon2(i, "three"),
            argon2(d, "four"),
            bcrypt("later")
        );
        let (passwords, unusable) = Passwords::read(file.as_bytes());
        assert_eq!(unusable, []);
        for (name, password) in [("bob", "one"), ("ann", "two"), ("eve", "three"), ("sue", "four")] {
            assert!(passwords.verify(name, password.as_bytes()), "{name}");
            assert!(!passwords.verify(name, b"other"), "{name}");
            assert!(!passwords.verify("nobody", password.as_bytes()));
        }
        assert!(!passwords.verify("bob", b"later"), "the first line counts");
    }

    #[test]
    fn bcrypt_of_other_programs_is_understood() {
        // From crypt_blowfish's own tests.
        let file = b"u:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
        assert!(Passwords::read(file).0.verify("u", b"U*U"));
    }

    #[test]
    fn hashes_that_are_fast_to_guess_or_slow_to_check_let_nobody_in() {
        let slow = bcrypt("x").replacen("$04$", "$31$", 1);
        let large = argon2(argon2::Algorithm::Argon2id, "x").replacen("m=64", "m=1048576", 1);
        for (hash, problem) in [
            ("$apr1$salt$hash", "neither"),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "neither"),
            ("plain", "neither"),
            ("", "neither"),
            ("$6$salt$hash", "neither"),
            ("$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "neither"),
            ("$2y$05$short", "whole"),
            ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyO!!", "whole"),
            ("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0", "whole"),
            (&slow, "cost"),
            (&large, "128 MiB"),
        ] {
            let (passwords, unusable) = Passwords::read(format!("bob:{hash}\n").as_bytes());
            assert!(unusable.len() == 1 && unusable[0].problem.contains(problem), "{hash}: {unusable:?}");
            assert!(passwords.is_empty() && !passwords.verify("bob", b"plain"), "{hash}");
        }
    }

    #[test]
    fn what_stands_in_a_broken_line_is_not_told() {
        let (_, unusable) = Passwords::read(b"secret\n\xff\xfe:x\n:hash\na\x1bb:x\n");
        let told: Vec<_> = unusable.iter().map(|line| (line.line, line.name.as_str())).collect();
        assert_eq!((told[0], told[1], told[2]), ((1, ""), (2, ""), (3, "")));
        assert!(told[3].0 == 4 && !told[3].1.contains('\x1b'), "{told:?}");
    }
}
