//! Listeners and Gateways on the board: what is open, what it leads to, and what is said about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Board;
use crate::listen::Sockets;
use crate::names::AppName;
use crate::reconcile::{gateways, resource};
use crate::route::{Front, Listeners};

impl Board {
    /// The listeners, and what is open of them. Apps whose listeners are others have something new to say.
    pub(in crate::reconcile) fn listen(&mut self, fronts: Vec<Front>, sockets: Sockets) {
        let is_open = |front: &Front, sockets: &Sockets| (front.clone(), sockets.contains_key(&front.socket));
        let before: BTreeSet<_> = self.listeners.fronts().map(|front| is_open(front, &self.sockets)).collect();
        let after: BTreeSet<_> = fronts.iter().map(|front| is_open(front, &sockets)).collect();
        let differing: Vec<_> = before.symmetric_difference(&after).map(|(front, _)| front).collect();
        let concerned = self.listeners.apps().filter(|app| differing.iter().any(|front| front.leads_to(&app.parents, &app.hostnames)));
        self.changed.extend(concerned.map(|app| app.name.clone()));
        self.changed_gateways.extend(differing.iter().filter_map(|front| gateway(front)));
        self.listeners.set(fronts);
        self.sockets = sockets;
        self.news = true;
    }

    /// Something about these has changed.
    pub(in crate::reconcile) fn note_gateways(&mut self, names: BTreeSet<AppName>) {
        self.changed_gateways.extend(names);
    }

    /// The open listeners that lead to an App.
    pub(super) fn open_to(&self, app: &AppName) -> Vec<String> {
        let open = self.listeners.leading_to(app).filter(|front| self.sockets.contains_key(&front.socket));
        open.map(Front::to_string).collect()
    }

    /// Changes the routes of an App. Gateways whose listeners lead to it from now on, or no longer, have something new to say.
    pub(super) fn count_attached(&mut self, app: &AppName, change: impl FnOnce(&mut Listeners)) {
        let leading = |listeners: &Listeners| listeners.leading_to(app).cloned().collect::<BTreeSet<_>>();
        let before = leading(&self.listeners);
        change(&mut self.listeners);
        let after = leading(&self.listeners);
        self.changed_gateways.extend(before.symmetric_difference(&after).filter_map(gateway));
    }

    pub(super) fn describe_gateway(&mut self, name: &AppName, entry: Option<&gateways::Entry>, now: &str) {
        let before = self.gateways.get(name.as_str()).cloned();
        let Some(entry) = entry else {
            self.news |= self.gateways.remove(name.as_str()).is_some();
            return;
        };
        let after = resource::of_gateway(entry, |front| self.listeners.attached(front), before.as_deref(), now);
        resource::log_changes(before.as_deref(), &after);
        if before.as_deref() != Some(&after) {
            self.gateways.insert(name.to_string(), Arc::new(after));
            self.news = true;
        }
    }
}

fn gateway(front: &Front) -> Option<AppName> {
    front.name.as_ref().map(|(gateway, _)| gateway.clone())
}

#[cfg(test)]
mod tests;
