//! Checks of the area `payload`: whatever an event holds comes back as it was given, on every path.

use annalist_core::{ExpectedVersion, NewEvent, Query, Read, RecordedEvent};

use crate::{Check, Cx, Handle, Verdict, ensure_eq, stream};

mod data;
mod envelope;
mod json;
mod paths;

pub(crate) const PARTS: &[&[Check]] = &[data::CHECKS, json::CHECKS, envelope::CHECKS, paths::CHECKS];

/// Appends labelled events as one, and sees to it that they come back as they were given: through the stream and the log, by this handle
/// and by another. Every difference is told.
async fn kept(cx: &Cx, labelled: Vec<(String, NewEvent)>) -> Verdict {
    kept_in(cx, "Payload-1", &labelled).await
}

async fn kept_in(cx: &Cx, name: &str, labelled: &[(String, NewEvent)]) -> Verdict {
    let payloads = stream(name);
    let events = labelled.iter().map(|(_, event)| event.clone());
    cx.append_to(&payloads, ExpectedVersion::NoStream, events).await?;
    let fresh = cx.fresh().await?;
    for (handle, whose) in [(&**cx, "this handle"), (&fresh, "another handle")] {
        for (read, source) in [(Read::stream(&payloads), "stream"), (Read::log(Query::stream(name)), "log")] {
            let what = format!("the {source} through {whose}");
            compare(cx, handle, read, labelled, &what).await?;
        }
    }
    Ok(())
}

async fn compare(
    cx: &Cx,
    handle: &Handle,
    read: Read,
    labelled: &[(String, NewEvent)],
    what: &str,
) -> Verdict {
    let found = handle.drain(read).await?.events;
    ensure_eq!(found.len(), labelled.len(), "events of {what}");
    for (found, (label, given)) in found.iter().zip(labelled) {
        if let Some(difference) = difference(found, given) {
            cx.violation(format!("{label}, in {what}: {difference}"));
        }
    }
    Ok(())
}

/// What differs between an event as it was found and as it was given. Tells where and how long, since `Debug` tells no payload.
fn difference(found: &RecordedEvent, given: &NewEvent) -> Option<String> {
    let (data, metadata) = (found.data(), found.metadata());
    if found.id() != given.id() {
        return Some(format!("the id is {}, not {}", found.id(), given.id()));
    }
    if data != given.data() {
        return Some(format!("its data {}", differ_at(data, given.data())));
    }
    if metadata.is_none() != given.metadata().is_none() {
        let told = |none| if none { "absent" } else { "present" };
        let (is, was) = (told(metadata.is_none()), told(given.metadata().is_none()));
        return Some(format!("its metadata are {is}, not {was}"));
    }
    if metadata != given.metadata() {
        let differ = differ_at(metadata.as_str().as_bytes(), given.metadata().as_str().as_bytes());
        return Some(format!("its metadata {differ}"));
    }
    let texts = [
        ("event type", found.event_type().as_str(), given.event_type().as_str()),
        ("content type", found.content_type(), given.content_type()),
    ];
    let text = texts.into_iter().find(|(_, found, given)| found != given);
    if let Some((what, found, given)) = text {
        return Some(format!("the {what} is {found:?}, not {given:?}"));
    }
    (found.tags() != given.tags()).then(|| format!("its tags are {:?}, not {:?}", found.tags(), given.tags()))
}

fn differ_at(found: &[u8], given: &[u8]) -> String {
    let at = found.iter().zip(given).position(|(found, given)| found != given);
    let at = at.unwrap_or(found.len().min(given.len()));
    format!("have {} bytes instead of {}, and differ from byte {at} on", found.len(), given.len())
}
