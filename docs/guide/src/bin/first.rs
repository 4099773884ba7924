use annalist::{ExpectedVersion, NewEvent};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum ToolEvent {
    Lent { to: String },
    Returned,
}

#[tokio::main]
async fn main() -> annalist::Result<()> {
    let store = annalist::connect("sqlite:lending.db").await?;

    let lent = NewEvent::of(&ToolEvent::Lent { to: "Ada".to_owned() })?;
    let returned = NewEvent::of(&ToolEvent::Returned)?;
    store.append("Tool-drill", ExpectedVersion::Any, [lent, returned]).await?;

    for event in store.read_stream("Tool-drill").await?.events {
        println!("{} {}: {}", event.stream(), event.version(), event.event_type());
    }
    store.close().await
}
