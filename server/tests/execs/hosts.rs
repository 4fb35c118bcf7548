//! Hosts that a client wants the commands of a Dockerfile to know.

use crate::client::{directory, output};
use crate::tests;
use crate::world::{World, run, texts};

tests!("hosts":
    commands_know_them_and_run_again_for_other_names,
);

fn commands_know_them_and_run_again_for_other_names() {
    run(async {
        let mut world = World::new().await;
        let text = "FROM scratch\nCOPY --from=programs . /\nRUN cat /etc/hosts > /report\n\
                    FROM scratch\nCOPY --from=0 /report /\n";
        let context = directory(&[("Dockerfile", text)]);
        for name in ["context", "dockerfile"] {
            world.offer.directories.insert(name.to_owned(), context.path().to_owned());
        }
        for (hosts, expected) in [
            ("db=10.1.2.3", "10.1.2.3\tdb"),
            // The address is no part of what the step is, as with BuildKit: machines have their own.
            ("db=10.1.2.4", "10.1.2.3\tdb"),
            ("web=10.1.2.3", "10.1.2.3\tweb"),
        ] {
            let attributes = [("context:programs", "local:programs"), ("add-hosts", hosts)];
            let done = world.daemon.build(&world.offer, &attributes, vec![output("local", &[])]).await;
            let files = texts(done);
            let lines: Vec<&str> = files["report"].lines().collect();
            assert_eq!(lines, ["127.0.0.1\tbuildkitsandbox", expected], "{hosts}");
        }
    });
}
