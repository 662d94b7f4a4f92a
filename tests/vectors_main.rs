//! The vectors of every system of evidence, and the live look-ups, against a fake DNS.

mod live;

use helostat_tests::vectors::{collect, directory};

#[tokio::test]
async fn every_vector_holds() {
    let tasks = collect(&directory()).unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    let mut complaints = Vec::new();
    for task in &tasks {
        for case in &task.vector.cases {
            let finding = task.run(&task.vector.world, case).await;
            complaints.extend(task.complaint(case, &finding));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
