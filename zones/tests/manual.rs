//! The numbers that the manual's ten-minute page tells are those of the program.

use helostat_zones::policy::Policy;

#[test]
fn the_page_of_the_policy_has_its_numbers() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");
    let page = std::fs::read_to_string(page).expect("docs/policy.md");
    let policy = serde_json::to_value(Policy::default()).expect("numbers");
    let policy = policy.as_object().expect("keys");
    let mut told = std::collections::BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (Some(key), Some(number)) = (cells.get(1), cells.get(2)) else { continue };
        let key = key.trim_matches('`');
        if let Some(value) = policy.get(key) {
            assert_eq!(*number, value.to_string(), "{key} in docs/policy.md");
            told.insert(key);
        }
    }
    let points: std::collections::BTreeSet<_> =
        policy.keys().map(String::as_str).filter(|key| key.contains("points")).collect();
    assert_eq!(told, points, "every weight and every threshold is on the page");
}
