//! References that lead nowhere: the manifest is refused, and what was served goes on.

use super::echo::Echoes;
use super::table::hold;
use crate::support::daemon::PATIENCE;

#[test]
fn a_backend_that_is_not_there_refuses_the_manifest_and_nothing_else() {
    let spec = |host: &str, backend: &str| format!("hostnames: [{host}]\nrules: [{{backendRefs: [{{name: {backend}}}]}}]");
    let echoes = Echoes::new();
    let daemon = echoes.daemon(&[("good", &spec("good.test", "one")), ("beside", &spec("beside.test", "two"))]);
    daemon.manifest("good.yaml", &echoes.app("good", &spec("good.test", "four")));
    daemon.manifest("new.yaml", &echoes.app("new", &spec("new.test", "four")));
    for app in ["good", "new"] {
        let message = daemon.wait_reason(app, "Accepted", "Invalid", PATIENCE);
        assert!(message.contains("there is no backend `four`"), "{message}");
    }
    let table = "
        GET /; @good.test       => one
        GET /; @beside.test     => two
        GET /; @new.test        => 404
        ";
    hold(daemon.address(), table);
    daemon.manifest("new.yaml", &echoes.app("new", &spec("new.test", "three")));
    daemon.wait_condition("new", "Ready", PATIENCE);
    hold(daemon.address(), "GET /; @new.test => three");
}
