//! `lxcproxy explain`: what a field means, without a daemon and without the documentation at hand.

use crate::support::cli::{Said, lxcproxy};

#[test]
fn a_field_is_explained_as_kubectl_explains_one() {
    let said = lxcproxy(&["explain", "app.spec.rules.files.scripts"]);
    let page = "\
KIND:       App
VERSION:    lxcproxy.dev/v1

FIELD: scripts <[]Script>

DESCRIPTION:
    Extensions that are run by a backend, and never sent as bytes. Without an
    entry, a script is a file like any other.
    An extension and the backend that runs it.

FIELDS:
  backend\t<string> -required-
";
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.starts_with(page), "{}", said.out);
    assert!(said.out.contains("\n  extension\t<string> -required-\n"), "{}", said.out);
}

#[test]
fn the_tree_holds_every_field() {
    let said = lxcproxy(&["explain", "gateway", "--recursive"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("\n    listeners\t<[]Listener> -required-\n      address\t<string>\n"), "{}", said.out);
}

#[test]
fn a_word_that_is_not_known_is_answered_with_the_nearest() {
    let line = "error: there is no field `backend` in `app.spec`; did you mean `backends`?\n";
    assert_eq!(lxcproxy(&["explain", "app.spec.backend"]), Said::failed(1, line));
}
