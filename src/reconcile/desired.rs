//! The files of one listing -> what each App and Gateway should be (pure).
//!
//! In: parsed files, and which file each object came from last. Out: [`Desired`] by kind and name, and what belongs to no object. Never: a
//! decision about what is served.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::refusal::Refusal;
use crate::api::v1::{App, Gateway, Reason};
use crate::manifest::{Document, Kind, Object, Parsed};
use crate::names::AppName;

/// A file of a listing.
#[derive(Debug, Clone)]
pub struct File {
    /// The directory that its relative paths start from.
    pub base: PathBuf,
    /// Its documents, or why it could not be read.
    pub content: Result<Arc<Parsed>, Refusal>,
}

/// What one object should be.
#[derive(Debug, Clone)]
pub struct Desired<T> {
    /// The file that says so, relative to the manifest directory.
    pub file: String,
    /// The directory that its relative paths start from.
    pub base: PathBuf,
    /// Where its document starts in the file, counted from 1.
    pub line: u64,
    /// Line and column of its name; counted from 1.
    pub named: (u64, u64),
    /// The object, or why its manifest is refused.
    pub object: Result<Arc<T>, Refusal>,
}

/// A manifest that belongs to no object: its name could not be read, or is another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The object's name, or the file's path.
    pub name: String,
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// The file that each known object came from last: it keeps the name, and holds the object while it can't be read.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    /// Of Apps.
    pub apps: BTreeMap<AppName, String>,
    /// Of Gateways.
    pub gateways: BTreeMap<AppName, String>,
}

/// Everything that a listing says.
#[derive(Debug, Default)]
pub struct Assignment {
    /// Of Apps; and of files whose kind can't be read, unless they hold a Gateway.
    pub apps: Part<App>,
    /// Of Gateways.
    pub gateways: Part<Gateway>,
}

/// What a listing says of one kind.
#[derive(Debug)]
pub struct Part<T> {
    /// Objects by name.
    pub objects: BTreeMap<AppName, Desired<T>>,
    /// What belongs to none.
    pub strays: Vec<Stray>,
}

/// Manifests that want a name, by name.
type Claims<T> = BTreeMap<AppName, Vec<Desired<T>>>;

/// What could be read of no object, by file.
type Broken<'a> = BTreeMap<&'a str, Refusal>;

/// What was read, before it is known who gets it.
#[derive(Debug, Default)]
struct Reading<'a> {
    apps: Claims<App>,
    gateways: Claims<Gateway>,
    /// Documents without a name, of this kind.
    nameless_apps: Broken<'a>,
    nameless_gateways: Broken<'a>,
    /// Files and documents without a kind.
    kindless: Broken<'a>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), strays: Vec::new() }
    }
}

/// Reads a listing.
#[must_use]
pub fn assign(files: &BTreeMap<String, File>, owners: &Owners) -> Assignment {
    let mut reading = Reading::default();
    for (path, file) in files {
        match &file.content {
            Err(refusal) => {
                reading.kindless.insert(path, refusal.clone());
            }
            Ok(parsed) => reading.read(path, file, parsed, owners),
        }
    }
    let Reading { apps, gateways, nameless_apps, nameless_gateways, mut kindless } = reading;
    let mut apps = settle(Kind::App, apps, &owners.apps);
    let mut gateways = settle(Kind::Gateway, gateways, &owners.gateways);
    let app_files = hold(&union(&kindless, &nameless_apps), files, &owners.apps, &mut apps);
    let gateway_files = hold(&union(&kindless, &nameless_gateways), files, &owners.gateways, &mut gateways);
    // What holds a Gateway is no stray among the Apps.
    kindless.retain(|file, _| !gateway_files.contains(file));
    apps.strays.extend(strays(union(&kindless, &nameless_apps), &app_files));
    gateways.strays.extend(strays(nameless_gateways, &gateway_files));
    Assignment { apps, gateways }
}

impl<'a> Reading<'a> {
    fn read(&mut self, path: &'a str, file: &File, parsed: &'a Parsed, owners: &Owners) {
        let (mut nameless_apps, mut nameless_gateways) = (Vec::new(), Vec::new());
        let mut kindless: Vec<_> = parsed.errors.iter().collect();
        for document in &parsed.documents {
            let errors = match &document.result {
                Ok(Object::App(app)) => {
                    claim(&mut self.apps, app.metadata.name.clone(), (path, document), file, Ok(Arc::clone(app)));
                    continue;
                }
                Ok(Object::Gateway(gateway)) => {
                    claim(&mut self.gateways, gateway.metadata.name.clone(), (path, document), file, Ok(Arc::clone(gateway)));
                    continue;
                }
                Err(errors) => errors,
            };
            match (kind_of(document, path, owners), name_of(document)) {
                (Some(Kind::Gateway), Some(name)) => claim(&mut self.gateways, name, (path, document), file, Err(Refusal::of(errors))),
                (Some(Kind::Gateway), None) => nameless_gateways.extend(errors),
                (_, Some(name)) => claim(&mut self.apps, name, (path, document), file, Err(Refusal::of(errors))),
                (Some(Kind::App), None) => nameless_apps.extend(errors),
                (None, None) => kindless.extend(errors),
            }
        }
        let found =
            [(&mut self.nameless_apps, nameless_apps), (&mut self.nameless_gateways, nameless_gateways), (&mut self.kindless, kindless)];
        for (broken, errors) in found.into_iter().filter(|(_, errors)| !errors.is_empty()) {
            broken.insert(path, Refusal::of(errors));
        }
    }
}

fn claim<T>(claims: &mut Claims<T>, name: AppName, (path, document): (&str, &Document), file: &File, object: Result<Arc<T>, Refusal>) {
    claims.entry(name).or_default().push(Desired {
        file: path.to_owned(),
        base: file.base.clone(),
        line: document.line,
        named: document.name_place(),
        object,
    });
}

/// The kind of a document that has errors: the one that can be read, else that of the Gateway which came from this file under its name.
fn kind_of(document: &Document, path: &str, owners: &Owners) -> Option<Kind> {
    let was_gateway = |name: AppName| owners.gateways.get(&name).is_some_and(|file| file == path).then_some(Kind::Gateway);
    document.kind.or_else(|| name_of(document).and_then(was_gateway))
}

fn name_of(document: &Document) -> Option<AppName> {
    document.name.as_ref()?.parse().ok()
}

/// One of several manifests has a name: the one that had it before, else the first by path.
fn settle<T>(kind: Kind, claims: Claims<T>, owners: &BTreeMap<AppName, String>) -> Part<T> {
    let mut part = Part::default();
    for (name, mut claims) in claims {
        let owner = owners.get(&name).and_then(|file| claims.iter().position(|claim| claim.file == *file)).unwrap_or(0);
        let kept = claims.remove(owner);
        for other in claims {
            let conflict = || {
                let message = format!("`{name}` is the name of the {kind} in {}; the older keeps it", kept.file);
                let refusal = Refusal::one(Reason::NameConflict, (&other.file, other.named.0, other.named.1), "metadata.name", message);
                refusal.hint("give one of them another name")
            };
            let refusal = other.object.err().unwrap_or_else(conflict);
            part.strays.push(Stray { name: name.to_string(), file: other.file, refusal });
        }
        part.objects.insert(name, kept);
    }
    part
}

/// A file that can't be read holds the objects that came from it. Returns the files that hold one.
fn hold<'a, T>(
    broken: &Broken<'a>,
    files: &BTreeMap<String, File>,
    owners: &BTreeMap<AppName, String>,
    part: &mut Part<T>,
) -> BTreeSet<&'a str> {
    let mut held = BTreeSet::new();
    for (name, file) in owners {
        if let (Some((path, refusal)), false) = (broken.get_key_value(file.as_str()), part.objects.contains_key(name)) {
            held.insert(*path);
            let base = files.get(file).map(|file| file.base.clone()).unwrap_or_default();
            part.objects.insert(name.clone(), Desired { file: file.clone(), base, line: 1, named: (1, 1), object: Err(refusal.clone()) });
        }
    }
    held
}

/// What holds no object is shown under its path.
fn strays<'a>(broken: Broken<'a>, held: &BTreeSet<&'a str>) -> impl Iterator<Item = Stray> {
    let loose = broken.into_iter().filter(|(file, _)| !held.contains(file));
    loose.map(|(file, refusal)| Stray { name: file.to_owned(), file: file.to_owned(), refusal })
}

/// What is wrong with each file, from both.
fn union<'a>(one: &Broken<'a>, two: &Broken<'a>) -> Broken<'a> {
    let mut union = one.clone();
    for (file, refusal) in two {
        union.entry(file).and_modify(|first| *first = first.and(refusal)).or_insert_with(|| refusal.clone());
    }
    union
}

#[cfg(test)]
mod tests;
