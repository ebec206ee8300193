//! Listeners and Gateways on the board: what is open, what it leads to, and what there is to say of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Board;
use crate::api::v1::GatewayResource;
use crate::listen::Sockets;
use crate::names::AppName;
use crate::reconcile::{fault, gateways, resource};
use crate::route::{Front, Listeners};

impl Board {
    /// The listeners, and what is open of them. Apps whose listeners are others have something new to say.
    pub(in crate::reconcile) fn listen(&mut self, fronts: Vec<Front>, sockets: Sockets) {
        let is_open = |front: &Front, sockets: &Sockets| (front.clone(), sockets.contains_key(&front.socket));
        let before: BTreeSet<_> = self.listeners.fronts().map(|front| is_open(front, &self.sockets)).collect();
        let after: BTreeSet<_> = fronts.iter().map(|front| is_open(front, &sockets)).collect();
        let differing: Vec<_> = before.symmetric_difference(&after).map(|(front, _)| front).collect();
        let concerned = self.listeners.apps().filter(|app| differing.iter().any(|front| front.leads_to(&app.parents, &app.hostnames)));
        self.apps.changed.extend(concerned.map(|app| app.name.clone()));
        self.gateways.changed.extend(differing.iter().filter_map(|front| gateway(front)));
        self.listeners.set(fronts);
        self.sockets = sockets;
        self.news = true;
    }

    /// Something about these has changed.
    pub(in crate::reconcile) fn note_gateways(&mut self, names: BTreeSet<AppName>) {
        self.gateways.changed.extend(names);
    }

    /// The open listeners that lead to an App.
    pub(super) fn open_to(&self, app: &AppName) -> Arc<[String]> {
        let open = self.listeners.leading_to(app).filter(|front| self.sockets.contains_key(&front.socket));
        open.map(Front::to_string).collect()
    }

    /// Takes the routes in which one App is another. Those that lost a match to it or do now, and Gateways whose listeners lead to it from
    /// now on, or no longer, have something new to say.
    pub(super) fn replace(&mut self, app: &AppName, listeners: Listeners) {
        let leading = |listeners: &Listeners| listeners.leading_to(app).cloned().collect::<BTreeSet<_>>();
        let (before, after) = (leading(&self.listeners), leading(&listeners));
        self.apps.changed.extend(self.listeners.losers(app));
        self.apps.changed.extend(listeners.losers(app));
        self.gateways.changed.extend(before.symmetric_difference(&after).filter_map(gateway));
        self.listeners = listeners;
        self.news = true;
    }

    /// What there is to say of a Gateway. A panic in that becomes what is said.
    pub(super) fn draft_gateway(&self, entry: &gateways::Entry, now: &str) -> GatewayResource {
        let before = self.gateways.shown(&entry.record.name, &entry.record.uid);
        // Nothing is changed that could be left half-changed.
        let draft = fault::contain(|| resource::of_gateway(entry, |front| self.listeners.attached(front), before, now));
        draft.unwrap_or_else(|fault| {
            let mut entry = entry.clone();
            entry.fail(fault, None);
            let served = entry.served.as_ref().map(|served| served.generation);
            resource::of_fault(&entry.record, served, entry.claims, before, now)
        })
    }
}

fn gateway(front: &Front) -> Option<AppName> {
    front.name.as_ref().map(|(gateway, _)| gateway.clone())
}

#[cfg(test)]
mod tests;
