use std::error::Error;

use annalist::{Append, NewEvent, Past, Retry, StreamId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum ToolEvent {
    Lent { to: String },
    Returned,
}

/// Who has the tool, as its events tell.
fn holder(past: &Past) -> annalist::Result<Option<String>> {
    let events = past.decode::<ToolEvent>()?;
    Ok(events.into_iter().fold(None, |_, event| match event {
        ToolEvent::Lent { to } => Some(to),
        ToolEvent::Returned => None,
    }))
}

fn lend(tool: &StreamId, past: &Past, to: &str) -> annalist::Result<Option<Append>> {
    if holder(past)?.is_some() {
        return Ok(None);
    }
    let lent = NewEvent::of(&ToolEvent::Lent { to: to.to_owned() })?;
    Ok(Some(Append::to(tool, past.version, [lent])))
}

fn take_back(tool: &StreamId, past: &Past) -> annalist::Result<Option<Append>> {
    if holder(past)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Append::to(tool, past.version, [NewEvent::of(&ToolEvent::Returned)?])))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("STORE_URL").unwrap_or_else(|_| "sqlite:lending.db".to_owned());
    let store = annalist::connect(&url).await?;

    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["lend", tool, to] => {
            let stream = StreamId::new(format!("Tool-{tool}"))?;
            match store.transact(&stream, Retry::default(), |past| lend(&stream, &past, to)).await? {
                Some(_) => println!("{to} has the {tool}"),
                None => println!("the {tool} is out already"),
            }
        }
        ["return", tool] => {
            let stream = StreamId::new(format!("Tool-{tool}"))?;
            match store.transact(&stream, Retry::default(), |past| take_back(&stream, &past)).await? {
                Some(_) => println!("the {tool} is back"),
                None => println!("the {tool} was not out"),
            }
        }
        _ => return Err("lend TOOL PERSON, or return TOOL".into()),
    }
    Ok(store.close().await?)
}
