//! The vectors of every system of evidence, and the live look-ups, against a fake DNS.

mod live;
mod live_faults;
mod spf_suite;

use helostat_tests::fakedns::World;
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

/// No finding may depend on the order of records, nor on how a server says that nothing is there.
#[tokio::test]
async fn every_vector_holds_in_other_guises() {
    let tasks = collect(&directory()).unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    let mut different = Vec::new();
    for task in &tasks {
        let world = &task.vector.world;
        let guises: [(&str, World); 2] =
            [("compact", world.clone().compact()), ("reversed", world.clone().reversed())];
        for case in &task.vector.cases {
            let plain = task.run(world, case).await.to_string();
            for (guise, world) in &guises {
                let found = task.run(world, case).await.to_string();
                if found != plain {
                    different.push(format!("{}: {guise}: {plain} or {found}", task.place(case)));
                }
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
