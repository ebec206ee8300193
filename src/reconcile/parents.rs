//! What an App may attach to -> whether a listener leads to it, and if not, why (pure).
//!
//! In: the listeners there are, `parentRefs` and `hostnames`. Out: a sentence per reference that does not fit. Never: a look at whether a
//! port is open.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::api::v1::AppSpec;
use crate::compile;
use crate::names::AppName;
use crate::route::{Front, Parent};

/// Names that a sentence holds; the rest are counted.
const MOST_NAMES: usize = 8;

/// What an App may attach to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parents {
    /// Listeners of the Gateways that are served, or the command line's.
    pub(super) fronts: Vec<Front>,
    /// Every Gateway, served or not.
    pub(super) gateways: BTreeSet<AppName>,
}

impl Parents {
    /// Whether at least one listener leads to the App.
    ///
    /// # Errors
    /// What does not fit, and what there is: one line per reference.
    pub(super) fn lead_to(&self, spec: &AppSpec) -> Result<(), String> {
        let parents: Vec<_> = spec.parent_refs.iter().map(compile::parent).collect();
        if self.fronts.iter().any(|front| front.leads_to(&parents, &spec.hostnames)) {
            return Ok(());
        }
        let mut faults: Vec<_> = parents.iter().enumerate().filter_map(|(index, parent)| self.fault(index, parent)).collect();
        if faults.is_empty() || faults.len() < parents.len() {
            faults.push(self.foreign_hosts(&parents, spec));
        }
        Err(faults.join("\n"))
    }

    /// What a reference names that is not there; none: there is a listener, but not for these hostnames.
    fn fault(&self, index: usize, parent: &Parent) -> Option<String> {
        let Parent { gateway, section, port } = parent;
        let field = format!("spec.parentRefs[{index}]");
        if !self.gateways.contains(gateway) {
            return Some(match self.gateways.len() {
                0 => format!("{field}: there is no Gateway `{gateway}`; there is none at all: leave parentRefs out to attach to --listen"),
                1 => format!("{field}: there is no Gateway `{gateway}`; the Gateway is {}", listed(&self.gateways)),
                _ => format!("{field}: there is no Gateway `{gateway}`; the Gateways are {}", listed(&self.gateways)),
            });
        }
        let own: Vec<_> = self.fronts.iter().filter(|front| is_of(front, gateway)).collect();
        if own.is_empty() {
            return Some(format!("{field}: no listener of Gateway `{gateway}` is served"));
        }
        let sections = || own.iter().filter_map(|front| front.name.as_ref().map(|(_, section)| section)).collect::<BTreeSet<_>>();
        if let Some(section) = section.as_ref().filter(|section| !sections().contains(section)) {
            return Some(format!(
                "{field}: there is no listener `{section}` in Gateway `{gateway}`; its listeners are {}",
                listed(sections())
            ));
        }
        let fits = |front: &&&Front| section.is_none() || front.name.as_ref().map(|(_, own)| own) == section.as_ref();
        let ports: BTreeSet<_> = own.iter().filter(fits).map(|front| front.socket.port()).collect();
        let port = port.filter(|port| !ports.contains(port))?;
        Some(match section {
            Some(section) => format!("{field}: listener `{section}` of Gateway `{gateway}` is not on port {port} but on {}", listed(ports)),
            None => format!("{field}: no listener of Gateway `{gateway}` is on port {port}; its ports are {}", listed(ports)),
        })
    }

    fn foreign_hosts(&self, parents: &[Parent], spec: &AppSpec) -> String {
        let reached = self.fronts.iter().filter(|front| front.leads_to(parents, &[]));
        let theirs: BTreeSet<_> = reached.filter_map(|front| front.hostname.as_ref()).collect();
        if theirs.is_empty() {
            return "there is no listener".to_owned();
        }
        format!("spec.hostnames: no listener takes {}; the listeners are for {}", listed(&spec.hostnames), listed(theirs))
    }
}

fn is_of(front: &Front, gateway: &AppName) -> bool {
    front.name.as_ref().is_some_and(|(name, _)| name == gateway)
}

/// `a`, `b` and 3 more
fn listed<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<_> = names.by_ref().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    match names.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(gateway: &str, listener: &str, port: u16, hostname: Option<&str>) -> Front {
        Front {
            name: Some((gateway.parse().unwrap(), listener.parse().unwrap())),
            socket: ([127, 0, 0, 1], port).into(),
            hostname: hostname.map(|host| host.parse().unwrap()),
        }
    }

    fn parents() -> Parents {
        let fronts =
            vec![front("web", "http", 80, None), front("web", "alt", 8080, None), front("inner", "http", 81, Some("*.example.org"))];
        let gateways = ["web", "inner", "broken"].iter().map(|name| name.parse().unwrap()).collect();
        Parents { fronts, gateways }
    }

    fn said(parents: &Parents, spec: &str) -> Result<(), String> {
        parents.lead_to(&serde_yaml::from_str(&format!("{{{spec}, rules: [{{}}]}}")).unwrap())
    }

    #[test]
    fn one_reference_that_fits_is_enough() {
        assert_eq!(said(&parents(), "parentRefs: [{name: nobody}, {name: web, sectionName: alt, port: 8080}]"), Ok(()));
        assert_eq!(said(&parents(), "hostnames: [a.test]"), Ok(()));
        assert_eq!(said(&parents(), "parentRefs: [{name: inner}], hostnames: [a.example.org]"), Ok(()));
    }

    #[test]
    fn the_reference_that_does_not_fit_is_named_and_so_is_what_there_is() {
        let cases = [
            ("{name: wob}", "there is no Gateway `wob`; the Gateways are `broken`, `inner`, `web`"),
            ("{name: broken}", "no listener of Gateway `broken` is served"),
            ("{name: web, sectionName: https}", "there is no listener `https` in Gateway `web`; its listeners are `alt`, `http`"),
            ("{name: web, port: 81}", "no listener of Gateway `web` is on port 81; its ports are `80`, `8080`"),
            ("{name: web, sectionName: http, port: 8080}", "listener `http` of Gateway `web` is not on port 8080 but on `80`"),
        ];
        for (reference, message) in cases {
            assert_eq!(said(&parents(), &format!("parentRefs: [{reference}]")), Err(format!("spec.parentRefs[0]: {message}")));
        }
        let both = said(&parents(), "parentRefs: [{name: wob}, {name: web, port: 1}]").unwrap_err();
        assert_eq!(both.lines().count(), 2, "{both}");
        assert!(both.contains("\nspec.parentRefs[1]: "), "{both}");
    }

    #[test]
    fn hostnames_that_no_listener_takes_are_named() {
        let message = said(&parents(), "parentRefs: [{name: inner}], hostnames: [a.test]").unwrap_err();
        assert_eq!(message, "spec.hostnames: no listener takes `a.test`; the listeners are for `*.example.org`");
        let both = said(&parents(), "parentRefs: [{name: wob}, {name: inner}], hostnames: [a.test]").unwrap_err();
        assert!(both.starts_with("spec.parentRefs[0]: ") && both.contains("\nspec.hostnames: "), "{both}");
    }

    #[test]
    fn without_a_gateway_the_way_to_attach_is_told() {
        let fronts = vec![Front { name: None, ..front("x", "x", 80, None) }];
        let message = said(&Parents { fronts, gateways: BTreeSet::new() }, "parentRefs: [{name: web}]").unwrap_err();
        assert!(message.contains("leave parentRefs out"), "{message}");
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(listed(1..=2), "`1`, `2`");
        assert!(listed(1..=20).ends_with("`8` and 12 more"));
    }
}
