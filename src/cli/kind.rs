//! What people write for objects -> kinds and names: `apps`, `gw/edge`, `app.lxcproxy.dev/ttrss`.
//!
//! In: words of the command line. Out: [`Kind`], [`Reference`], [`Selection`]. Never: a question to the daemon.

use std::fmt;
use std::str::FromStr;

/// What the daemon has objects of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Applications.
    App,
    /// What is listened on.
    Gateway,
    /// Where manifests come from.
    Source,
    /// What happened to the others.
    Event,
    /// The backends of Apps, and how their endpoints are.
    Backend,
}

/// One object, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its name.
    pub(super) name: String,
}

/// Which objects are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of these kinds.
    Kinds(Vec<Kind>),
    /// These, in this order.
    Named(Vec<Reference>),
}

/// Why nothing is selected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// There are no such objects.
    #[error("there is no resource type \"{0}\"; expected apps, gateways, sources, events or backends, or an object such as app/ttrss")]
    Unknown(String),
    /// `app/`, or `/ttrss`.
    #[error("arguments in resource/name form must have a single resource and name, such as app/ttrss")]
    Incomplete,
    /// `app/ttrss blog`.
    #[error("\"{0}\" has no type; behind an argument in resource/name form all others need one, too, such as app/ttrss")]
    Untyped(String),
}

impl Kind {
    /// What `all` means: every kind of object that is or serves something.
    pub(super) const ALL: [Self; 3] = [Self::App, Self::Gateway, Self::Source];

    /// As in `kind:`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::App => "App",
            Self::Gateway => "Gateway",
            Self::Source => "Source",
            Self::Event => "Event",
            Self::Backend => "Backend",
        }
    }

    /// As in `app/ttrss`.
    pub(super) fn singular(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Gateway => "gateway",
            Self::Source => "source",
            Self::Event => "event",
            Self::Backend => "backend",
        }
    }

    /// The resource, as the daemon's paths have it.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::App => "apps",
            Self::Gateway => "gateways",
            Self::Source => "sources",
            Self::Event => "events",
            Self::Backend => "backends",
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    /// Singular, plural, kubectl's short name, and each with the group behind it; in any case.
    fn from_str(word: &str) -> Result<Self, Error> {
        let lower = word.to_ascii_lowercase();
        match lower.strip_suffix(".lxcproxy.dev").unwrap_or(&lower) {
            "app" | "apps" => Ok(Self::App),
            "gateway" | "gateways" | "gw" | "gtw" => Ok(Self::Gateway),
            "source" | "sources" | "src" => Ok(Self::Source),
            "event" | "events" | "ev" => Ok(Self::Event),
            "backend" | "backends" | "be" => Ok(Self::Backend),
            _ => Err(Error::Unknown(word.to_owned())),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    /// `TYPE/NAME`. The name of a manifest that belongs to no App is its path, and may have a slash itself.
    fn from_str(word: &str) -> Result<Self, Error> {
        match word.split_once('/') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(Self { kind: kind.parse()?, name: name.to_owned() }),
            _ => Err(Error::Incomplete),
        }
    }
}

impl fmt::Display for Reference {
    /// As kubectl names objects of a group that is not its own: `app.lxcproxy.dev/ttrss`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.lxcproxy.dev/{}", self.kind.singular(), self.name)
    }
}

impl Selection {
    /// `TYPE[,TYPE...]`, `TYPE[,TYPE...] NAME...`, `TYPE/NAME...` or `all`.
    ///
    /// # Errors
    /// One sentence that says what was expected.
    pub(super) fn parse(words: &[String]) -> Result<Self, Error> {
        let Some((first, rest)) = words.split_first() else { return Err(Error::Incomplete) };
        if first.contains('/') {
            return words.iter().map(|word| typed(word)).collect::<Result<_, _>>().map(Self::Named);
        }
        let mut kinds = Vec::new();
        for word in first.split(',') {
            if word == "all" {
                kinds.extend(Kind::ALL);
            } else {
                kinds.push(word.parse()?);
            }
        }
        let mut seen = Vec::new();
        kinds.retain(|kind| {
            !seen.contains(kind) && {
                seen.push(*kind);
                true
            }
        });
        if rest.is_empty() {
            return Ok(Self::Kinds(kinds));
        }
        let named = kinds.iter().flat_map(|kind| rest.iter().map(|name| Reference { kind: *kind, name: name.clone() }));
        Ok(Self::Named(named.collect()))
    }

    /// The kinds, in order, each once.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        match self {
            Self::Kinds(kinds) => kinds.clone(),
            Self::Named(references) => {
                let mut kinds = Vec::new();
                for reference in references {
                    if !kinds.contains(&reference.kind) {
                        kinds.push(reference.kind);
                    }
                }
                kinds
            }
        }
    }
}

fn typed(word: &str) -> Result<Reference, Error> {
    if word.contains('/') { word.parse() } else { Err(Error::Untyped(word.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(line: &str) -> Result<Selection, Error> {
        Selection::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn named(names: &[(Kind, &str)]) -> Selection {
        Selection::Named(names.iter().map(|(kind, name)| Reference { kind: *kind, name: (*name).to_owned() }).collect())
    }

    #[test]
    fn a_kind_has_the_names_that_kubectl_would_give_it() {
        for (words, kind) in [
            (["app", "apps", "App", "apps.lxcproxy.dev"], Kind::App),
            (["gw", "gateway", "gateways", "Gateway"], Kind::Gateway),
            (["src", "source", "sources", "source.lxcproxy.dev"], Kind::Source),
            (["ev", "event", "events", "Events"], Kind::Event),
            (["be", "backend", "backends", "Backend"], Kind::Backend),
        ] {
            for word in words {
                assert_eq!(word.parse(), Ok(kind), "{word}");
            }
        }
        assert_eq!("pods".parse::<Kind>(), Err(Error::Unknown("pods".to_owned())));
    }

    #[test]
    fn a_selection_is_written_as_for_kubectl() {
        assert_eq!(selection("apps"), Ok(Selection::Kinds(vec![Kind::App])));
        assert_eq!(selection("apps,gw,app"), Ok(Selection::Kinds(vec![Kind::App, Kind::Gateway])));
        assert_eq!(selection("all"), Ok(Selection::Kinds(Kind::ALL.to_vec())));
        assert_eq!(selection("app blog wiki"), Ok(named(&[(Kind::App, "blog"), (Kind::App, "wiki")])));
        assert_eq!(selection("app/blog gw/edge"), Ok(named(&[(Kind::App, "blog"), (Kind::Gateway, "edge")])));
        assert_eq!(selection("app,gw x"), Ok(named(&[(Kind::App, "x"), (Kind::Gateway, "x")])));
        assert_eq!(selection("app/blog gw/edge app/wiki").unwrap().kinds(), [Kind::App, Kind::Gateway]);
    }

    #[test]
    fn a_manifest_that_is_no_app_goes_by_its_path() {
        assert_eq!(selection("app sub/notes.yaml"), Ok(named(&[(Kind::App, "sub/notes.yaml")])));
        assert_eq!(selection("app/sub/notes.yaml"), Ok(named(&[(Kind::App, "sub/notes.yaml")])));
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        assert_eq!(selection("pods"), Err(Error::Unknown("pods".to_owned())));
        assert_eq!(selection("apps,"), Err(Error::Unknown(String::new())));
        assert_eq!(selection("app/"), Err(Error::Incomplete));
        assert_eq!(selection("/blog"), Err(Error::Incomplete));
        assert_eq!(selection("app/blog wiki"), Err(Error::Untyped("wiki".to_owned())));
        assert_eq!(selection(""), Err(Error::Incomplete));
    }

    #[test]
    fn an_object_is_named_with_its_group() {
        assert_eq!("gw/edge".parse::<Reference>().unwrap().to_string(), "gateway.lxcproxy.dev/edge");
    }
}
