//! Columns for people.

use serde_json::Value;

/// Rows as columns; each column is a heading and the path of its value, dots between the steps.
pub(super) fn render(rows: &[Value], columns: &[(&str, &str)]) -> String {
    let mut cells: Vec<Vec<String>> =
        vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()];
    cells.extend(rows.iter().map(|row| columns.iter().map(|(_, path)| cell(row, path)).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in cells {
        let last = row.len().saturating_sub(1);
        for (column, value) in row.iter().enumerate() {
            text.push_str(value);
            if column < last {
                let gap = widths[column] - value.chars().count() + 2;
                text.extend(std::iter::repeat_n(' ', gap));
            }
        }
        text.push('\n');
    }
    text
}

fn cell(row: &Value, path: &str) -> String {
    let value = path.split('.').try_fold(row, |value, step| value.get(step));
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::render;

    #[test]
    fn columns_line_up() {
        let rows = [json!({"id": "ten_1", "a": {"b": 2}}), json!({"id": "ten_22"})];
        assert_eq!(render(&rows, &[("ID", "id"), ("B", "a.b")]), "ID      B\nten_1   2\nten_22  -\n");
    }
}
