//! How large an item is, as DynamoDB reckons it.

use serde_json::Value;

/// What a list or a map takes beside its elements.
const NESTING: usize = 3;

/// What each of these elements takes beside itself.
const ELEMENT: usize = 1;

/// Names and values together.
pub(super) fn of_item(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes.map(|(name, value)| name.len() + of_value(value)).sum()
}

/// A value is an object of one field, its type.
fn of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    let each = |size: fn(&str) -> usize| strings(value).map(size).sum();
    match kind.as_str() {
        "S" => text(value).len(),
        "N" => of_number(text(value)),
        "B" => of_binary(text(value)),
        "SS" => each(str::len),
        "NS" => each(of_number),
        "BS" => each(of_binary),
        "L" => {
            NESTING
                + value.as_array().into_iter().flatten().map(|value| ELEMENT + of_value(value)).sum::<usize>()
        }
        "M" => NESTING + of_item(value) + ELEMENT * value.as_object().map_or(0, serde_json::Map::len),
        // BOOL and NULL.
        _ => 1,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(text)
}

/// What Base64 stands for.
fn of_binary(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

/// One byte for each two significant digits, before and after the point; one for the number, one for a minus.
fn of_number(number: &str) -> usize {
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number.trim_start_matches('+')),
    };
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let leading = digits.len() - significant.len();
    let significant = significant.trim_end_matches('0').len();
    if significant == 0 {
        return 1;
    }
    let point = exponent.parse::<i64>().unwrap_or(0) + whole.len() as i64 - leading as i64;
    let before = usize::try_from(point).unwrap_or(0).min(significant);
    before.div_ceil(2) + (significant - before).div_ceil(2) + 1 + usize::from(negative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_by_their_significant_digits() {
        let sizes =
            [("0", 1), ("-0", 1), ("7", 2), ("42", 2), ("-42", 3), ("100", 2), ("12345", 4), ("1.5", 3)];
        let more = [("0.0015", 2), ("12.345e1", 4), ("12e10", 2), ("18446744073709551615", 11), ("1e-3", 2)];
        for (number, size) in sizes.into_iter().chain(more) {
            assert_eq!(of_number(number), size, "{number}");
        }
    }

    #[test]
    fn names_count_and_so_does_nesting() {
        assert_eq!(of_item(&json!({})), 0);
        assert_eq!(of_item(&json!({"ab": {"S": "ä"}, "c": {"B": "AAECAw=="}})), 2 + 2 + 1 + 4);
        assert_eq!(of_item(&json!({"l": {"L": []}, "m": {"M": {}}})), 8);
        assert_eq!(of_item(&json!({"l": {"L": [{"NULL": true}, {"SS": ["a", "bc"]}]}})), 1 + 3 + 2 + 1 + 3);
        assert_eq!(
            of_item(&json!({"m": {"M": {"key": {"BOOL": true}}}, "n": {"NS": ["1", "23"]}})),
            1 + 3 + 3 + 1 + 1 + 1 + 4
        );
    }
}
