//! The payload of all workloads: 200 bytes of JSON that begin with the event's number.

const LEN: usize = 200;
const HEAD: &str = r#"{"n":"#;
const DIGITS: usize = 20;

pub(crate) fn payload(n: u64) -> Vec<u8> {
    let mut json = format!(r#"{HEAD}{n:>DIGITS$},"filler":""#).into_bytes();
    json.resize(LEN - 2, b'x');
    json.extend_from_slice(b"\"}");
    json
}

/// The number of the event that carries this payload.
pub(crate) fn number(payload: &[u8]) -> Option<u64> {
    let digits = payload.get(HEAD.len()..HEAD.len() + DIGITS)?;
    std::str::from_utf8(digits).ok()?.trim_start().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{LEN, number, payload};

    #[test]
    fn a_payload_is_json_of_the_stated_length_and_tells_its_number() {
        for n in [0, 7, u64::MAX] {
            let json = payload(n);
            assert_eq!(json.len(), LEN);
            assert_eq!(number(&json), Some(n));
            let value: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
            assert_eq!(value["n"], n);
        }
    }
}
