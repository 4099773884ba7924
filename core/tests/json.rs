//! Values as events and back: by serde alone, and never mistaking one failure for another.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use annalist_core::{Error, ErrorKind, NewEvent};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
enum OrderEvent {
    Opened,
    Noted(String),
    Priced(u32, Option<i64>),
    Placed {
        total: u32,
        #[serde(default)]
        items: Vec<Item>,
    },
    Wrapped(Box<Address>),
    #[serde(rename = "order.cancelled/2", alias = "Cancelled")]
    Cancelled {
        reason: Reason,
    },
    Nothing(()),
    Maybe(Option<u8>),
    Counted(BTreeMap<String, u64>),
    Empty {},
    Nested(Inner),
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Item {
    name: String,
    count: u8,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Address {
    street: String,
    #[serde(flatten)]
    rest: HashMap<String, String>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
enum Reason {
    TooLate,
    Other(String),
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "kind")]
enum Inner {
    A { n: u8 },
    B,
}

fn event(event_type: &str, data: &str) -> NewEvent {
    NewEvent::new(event_type, data.to_owned()).unwrap()
}

fn decode<T: DeserializeOwned>(event_type: &str, data: &str) -> Result<Option<T>, Error> {
    event(event_type, data).decode()
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, event_type: &str, data: &str) {
    let event = NewEvent::of(value).unwrap();
    assert_eq!(event.event_type().as_str(), event_type);
    assert_eq!(std::str::from_utf8(event.data()).unwrap(), data);
    assert_eq!(event.content_type(), "application/json");
    assert_eq!(event.decode::<T>().unwrap().as_ref(), Some(value));
}

#[test]
fn every_form_of_a_variant_comes_back() {
    let items = vec![Item { name: "pen".to_owned(), count: 2 }];
    let address =
        Address { street: "Elm".to_owned(), rest: HashMap::from([("zip".to_owned(), "1".to_owned())]) };
    comes_back(&OrderEvent::Opened, "Opened", "{}");
    comes_back(&OrderEvent::Noted("a \"b\"".to_owned()), "Noted", r#""a \"b\"""#);
    comes_back(&OrderEvent::Priced(3, Some(-1)), "Priced", "[3,-1]");
    comes_back(&OrderEvent::Priced(3, None), "Priced", "[3,null]");
    comes_back(
        &OrderEvent::Placed { total: 12, items },
        "Placed",
        r#"{"total":12,"items":[{"name":"pen","count":2}]}"#,
    );
    comes_back(&OrderEvent::Wrapped(Box::new(address)), "Wrapped", r#"{"street":"Elm","zip":"1"}"#);
    comes_back(
        &OrderEvent::Cancelled { reason: Reason::Other("rain".to_owned()) },
        "order.cancelled/2",
        r#"{"reason":{"Other":"rain"}}"#,
    );
    comes_back(
        &OrderEvent::Cancelled { reason: Reason::TooLate },
        "order.cancelled/2",
        r#"{"reason":"TooLate"}"#,
    );
    comes_back(&OrderEvent::Nothing(()), "Nothing", "null");
    comes_back(&OrderEvent::Maybe(None), "Maybe", "null");
    comes_back(&OrderEvent::Maybe(Some(7)), "Maybe", "7");
    comes_back(&OrderEvent::Counted(BTreeMap::from([("a".to_owned(), 1)])), "Counted", r#"{"a":1}"#);
    comes_back(&OrderEvent::Empty {}, "Empty", "{}");
    comes_back(&OrderEvent::Nested(Inner::A { n: 1 }), "Nested", r#"{"kind":"A","n":1}"#);
    comes_back(&OrderEvent::Nested(Inner::B), "Nested", r#"{"kind":"B"}"#);
}

#[test]
fn a_unit_struct_and_a_newtype_around_an_enum_are_events_too() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct DayEnded;
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Mine(OrderEvent);

    comes_back(&DayEnded, "DayEnded", "{}");
    comes_back(&Mine(OrderEvent::Opened), "Opened", "{}");
    assert_eq!(decode::<DayEnded>("Opened", "{}").unwrap(), None);
    assert_eq!(decode::<Mine>("DayEnded", "{}").unwrap(), None);
}

#[test]
fn whole_enums_can_be_renamed() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "kebab-case")]
    enum Cart {
        ItemAdded { sku: u8 },
    }
    comes_back(&Cart::ItemAdded { sku: 1 }, "item-added", r#"{"sku":1}"#);
}

#[test]
fn an_alias_is_known() {
    let old = decode("Cancelled", r#"{"reason":"TooLate"}"#).unwrap();
    assert_eq!(old, Some(OrderEvent::Cancelled { reason: Reason::TooLate }));
}

#[test]
fn an_unknown_type_is_nothing_whatever_its_data() {
    for data in ["{}", "", "null", "not json", r#"{"total":12}"#, "\u{0}"] {
        assert_eq!(decode::<OrderEvent>("Shipped", data).unwrap(), None, "{data:?}");
        // Case matters.
        assert_eq!(decode::<OrderEvent>("placed", data).unwrap(), None, "{data:?}");
    }
}

/// An inner enum that does not know its variant reports "unknown variant" too. That is data that does not fit, and no unknown type.
#[test]
fn a_known_type_whose_data_does_not_fit_is_corrupt() {
    let unfit = [
        ("order.cancelled/2", r#"{"reason":"Rain"}"#),
        ("Nested", r#"{"kind":"C"}"#),
        ("Placed", "{}"),
        ("Placed", ""),
        ("Placed", "null"),
        ("Placed", r#"{"total":-1}"#),
        ("Placed", r#"{"total":12} "more""#),
        ("Placed", r#"{"total":12"#),
        ("Priced", "[3]"),
        ("Priced", "[3,4,5]"),
        ("Noted", "7"),
        ("Opened", "7"),
        ("Opened", "not json"),
        ("Opened", ""),
        ("Maybe", "256"),
    ];
    for (event_type, data) in unfit {
        let error = decode::<OrderEvent>(event_type, data).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{event_type} {data}: {error}");
        assert!(error.to_string().contains(event_type), "{error}");
    }
}

#[test]
fn fields_may_come_and_go() {
    let more = decode("Placed", r#"{"total":12,"items":[],"currency":"EUR"}"#).unwrap();
    assert_eq!(more, Some(OrderEvent::Placed { total: 12, items: Vec::new() }));
    let fewer = decode("Placed", r#"{"total":12}"#).unwrap();
    assert_eq!(fewer, more);
    // A variant that lost all its fields, and one that others write without content.
    assert_eq!(decode("Opened", r#"{"by":"ada"}"#).unwrap(), Some(OrderEvent::Opened));
    assert_eq!(decode("Opened", "null").unwrap(), Some(OrderEvent::Opened));
}

#[test]
fn a_variant_for_the_rest_takes_the_rest() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    enum Few {
        Opened,
        #[serde(other)]
        Rest,
    }
    assert_eq!(decode("Opened", "{}").unwrap(), Some(Few::Opened));
    for data in ["[1]", "7", "not json"] {
        assert_eq!(decode("Shipped", data).unwrap(), Some(Few::Rest), "{data}");
    }
    assert!(decode::<Few>("Opened", "7").is_err());
}

#[test]
fn what_is_no_externally_tagged_enum_is_refused_both_ways() {
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(tag = "type")]
    enum Internal {
        Opened { by: String },
    }
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(tag = "type", content = "data")]
    enum Adjacent {
        Opened(u8),
    }
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Opened(u8),
    }
    fn refused<T: Serialize + DeserializeOwned + Debug>(value: T) {
        let error = NewEvent::of(&value).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{value:?}: {error}");
        let error = decode::<T>("Opened", "1").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{value:?}: {error}");
    }
    refused(Internal::Opened { by: "ada".to_owned() });
    refused(Adjacent::Opened(1));
    refused(Untagged::Opened(1));
    refused(Item { name: "pen".to_owned(), count: 1 });
    refused((1, 2));
    refused(vec![OrderEvent::Opened]);
    refused(Some(OrderEvent::Opened));
    refused(BTreeMap::from([(1, 2)]));
    refused("text".to_owned());
    refused(7_u64);
    refused(true);
    refused(());
}

#[test]
fn what_has_no_json_form_is_invalid() {
    #[derive(Serialize)]
    enum Odd {
        Keyed(BTreeMap<(u8, u8), u8>),
        Fielded {
            #[serde(serialize_with = "fail")]
            value: &'static str,
        },
    }
    fn fail<S: serde::Serializer>(value: &str, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(value))
    }
    for odd in [Odd::Keyed(BTreeMap::from([((1, 2), 3)])), Odd::Fielded { value: "hunter2" }] {
        let error = NewEvent::of(&odd).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_name_that_is_no_event_type_is_invalid() {
    #[derive(Serialize)]
    enum Odd {
        #[serde(rename = "$reserved")]
        Reserved,
    }
    assert!(matches!(NewEvent::of(&Odd::Reserved).unwrap_err().kind(), ErrorKind::Invalid(_)));
}

/// serde quotes what it did not expect: `invalid type: string "hunter2"`.
#[test]
fn no_error_quotes_the_data() {
    let data = ["\"hunter2\"", r#"{"total":"hunter2"}"#, r#"{"reason":"hunter2"}"#, r#"{"hunter2":"#];
    for event_type in ["Placed", "order.cancelled/2", "Priced", "Counted", "Nested"] {
        for data in data {
            let error = decode::<OrderEvent>(event_type, data).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic(event_type in "(Opened|Noted|Priced|Placed|Wrapped|Counted|Nested|[A-Z][a-z]{0,8})", data in any::<Vec<u8>>()) {
        let known = ["Opened", "Noted", "Priced", "Placed", "Wrapped", "Counted", "Nested", "Nothing", "Maybe", "Empty"];
        let decoded = NewEvent::new(event_type.as_str(), data).unwrap().decode::<OrderEvent>();
        if !known.contains(&event_type.as_str()) && event_type != "Cancelled" {
            prop_assert_eq!(decoded.unwrap(), None);
        } else if let Err(error) = decoded {
            prop_assert!(matches!(error.kind(), ErrorKind::Corrupt(_)));
        }
    }

    #[test]
    fn texts_and_numbers_come_back(note in any::<String>(), total in any::<u32>(), cents in any::<i64>()) {
        let values = [
            OrderEvent::Noted(note.clone()),
            OrderEvent::Placed { total, items: vec![Item { name: note, count: 1 }] },
            OrderEvent::Priced(total, Some(cents)),
        ];
        for value in values {
            prop_assert_eq!(NewEvent::of(&value).unwrap().decode::<OrderEvent>().unwrap(), Some(value));
        }
    }
}
