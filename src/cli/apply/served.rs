//! Documents that were put -> the moment at which the daemon serves them.
//!
//! In: documents, the daemon's answers. Out: nothing, or what there is instead. Never: an answer about the generation before.

use std::time::Duration;

use anyhow::{anyhow, bail};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::api::v1::{AppSpec, AppStatus, ConditionStatus, ConditionType, Conditions, GatewaySpec, GatewayStatus, Resource};
use crate::cli::client::{Client, named};
use crate::cli::directory::Document;
use crate::manifest::{self, Object};

/// The pause between two looks.
const AGAIN: Duration = Duration::from_millis(50);

/// Waits until each of them is ready, in the form that was put.
pub(super) async fn wait(client: &Client, documents: &[Document], timeout: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + timeout;
    for document in documents {
        let name = super::qualified(&document.name);
        let object = manifest::parse("", &document.text).documents.into_iter().find_map(|found| found.result.ok());
        let waiting = match object {
            Some(Object::App(app)) => {
                until::<AppSpec, AppStatus>(client, "apps", &document.name.name, &app.spec, ConditionType::Ready, deadline).await
            }
            Some(Object::Gateway(gateway)) => {
                until::<GatewaySpec, GatewayStatus>(
                    client,
                    "gateways",
                    &document.name.name,
                    &gateway.spec,
                    ConditionType::Programmed,
                    deadline,
                )
                .await
            }
            None => bail!("{name} can't be read again"),
        };
        waiting.map_err(|error| error.context(format!("{name} was put, but waiting for it failed")))?;
    }
    Ok(())
}

async fn until<Spec, Status>(
    client: &Client,
    resource: &str,
    name: &str,
    spec: &Spec,
    wanted: ConditionType,
    deadline: Instant,
) -> anyhow::Result<()>
where
    Spec: DeserializeOwned + PartialEq,
    Status: DeserializeOwned + Conditions,
{
    loop {
        let selector = named(name);
        let list = client.list::<Resource<Spec, Status>>(resource, &[("fieldSelector", &selector)]).await?;
        let Some(missing) = missing(list.items.first(), spec, wanted) else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(anyhow!("timed out: {missing}"));
        }
        sleep(AGAIN).await;
    }
}

/// What there is instead of the condition, held by this spec.
fn missing<Spec: PartialEq, Status: Conditions>(
    found: Option<&Resource<Spec, Status>>,
    spec: &Spec,
    wanted: ConditionType,
) -> Option<String> {
    let Some(object) = found else { return Some("the daemon has not seen it".to_owned()) };
    let same = object.spec.as_ref() == Some(spec);
    match object.status.condition(wanted) {
        Some(held) if held.status == ConditionStatus::True && same && held.observed_generation >= object.metadata.generation => None,
        Some(held) if held.status != ConditionStatus::True => {
            Some(format!("{wanted} is {}, {}: {}", held.status, held.reason, held.message.lines().next().unwrap_or_default()))
        }
        _ => Some("the daemon still has the version before".to_owned()),
    }
}
