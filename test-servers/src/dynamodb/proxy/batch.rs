//! Batches of which a part is left undone.

use rand::rngs::StdRng;
use rand::{SeedableRng, seq::index};
use serde_json::{Map, Value};

/// Takes so many items out of a `BatchWriteItem`, or keys out of a `BatchGetItem`, and returns them as the answer has them; nothing
/// where none would be left.
pub(super) fn take_out(body: &mut Value, count: usize, seed: u64) -> Option<Value> {
    let tables = body.get_mut("RequestItems")?.as_object_mut()?;
    let total = tables.values_mut().filter_map(list).map(|list| list.len()).sum::<usize>();
    if count >= total {
        return None;
    }
    let chosen = index::sample(&mut StdRng::seed_from_u64(seed), total, count).into_vec();
    let mut number = 0;
    let mut left_out = Map::new();
    for (table, requests) in tables.iter_mut() {
        // What is said of all keys of a table is said of those again.
        let mut of_table = requests.clone();
        let (Some(done), Some(undone)) = (list(requests), list(&mut of_table)) else { continue };
        let is_chosen = |at: usize| chosen.contains(&(number + at));
        let keep = |list: &mut Vec<Value>, wanted: bool| {
            let mut at = 0..;
            list.retain(|_| at.next().is_some_and(&is_chosen) == wanted);
        };
        let length = done.len();
        keep(done, false);
        keep(undone, true);
        number += length;
        if !undone.is_empty() {
            left_out.insert(table.clone(), of_table);
        }
    }
    // A table without requests is none that AWS would take.
    tables.retain(|_, requests| list(requests).is_none_or(|list| !list.is_empty()));
    Some(Value::Object(left_out))
}

/// Puts them in the answer, beside what the server has left undone itself.
pub(super) fn put_in(answer: &mut Value, left_out: Value) {
    let name = if answer.get("Responses").is_some() { "UnprocessedKeys" } else { "UnprocessedItems" };
    let Value::Object(left_out) = left_out else { return };
    let mut tables = std::mem::take(&mut answer[name]);
    if !tables.is_object() {
        tables = Value::Object(Map::new());
    }
    for (table, mut of_table) in left_out {
        if let (Some(there), Some(more)) = (list(&mut tables[&table]), list(&mut of_table)) {
            there.append(more);
        } else {
            tables[&table] = of_table;
        }
    }
    answer[name] = tables;
}

/// The requests for one table: of writes they are a list, of reads a list under a name.
fn list(requests: &mut Value) -> Option<&mut Vec<Value>> {
    match requests {
        Value::Array(list) => Some(list),
        Value::Object(of_table) => of_table.get_mut("Keys")?.as_array_mut(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_taken_out_and_what_is_left_are_the_whole() {
        for count in 0..5 {
            let mut body = json!({"RequestItems": {"a": [1, 2, 3], "b": [4, 5]}});
            let left_out = take_out(&mut body, count, 3).unwrap();
            let mut answer = json!({"UnprocessedItems": body["RequestItems"].take()});
            put_in(&mut answer, left_out.clone());
            let mut all: Vec<_> = ["a", "b"]
                .into_iter()
                .filter_map(|table| answer["UnprocessedItems"][table].as_array())
                .flatten()
                .map(|item| item.as_u64().unwrap())
                .collect();
            all.sort_unstable();
            assert_eq!(all, [1, 2, 3, 4, 5]);
            let taken: usize =
                left_out.as_object().unwrap().values().map(|list| list.as_array().unwrap().len()).sum();
            assert_eq!(taken, count);
        }
        assert!(take_out(&mut json!({"RequestItems": {"a": [1]}}), 1, 3).is_none());
    }

    #[test]
    fn keys_come_back_with_what_was_said_of_them() {
        let mut body = json!({"RequestItems": {"a": {"Keys": [1, 2], "ConsistentRead": true}}});
        let left_out = take_out(&mut body, 1, 0).unwrap();
        let mut answer = json!({"Responses": {}, "UnprocessedKeys": {}});
        put_in(&mut answer, left_out);
        let undone = &answer["UnprocessedKeys"]["a"];
        assert_eq!(undone["ConsistentRead"], true);
        assert_ne!(undone["Keys"], body["RequestItems"]["a"]["Keys"]);
        assert_eq!(undone["Keys"].as_array().unwrap().len(), 1);
    }
}
