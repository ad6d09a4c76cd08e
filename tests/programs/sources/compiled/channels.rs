use std::collections::HashMap;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::Duration;
fn main() {
    let (tx, rx) = mpsc::channel();
    let shared = Arc::new(Mutex::new(HashMap::new()));
    let handles: Vec<_> = (0..8u64)
        .map(|i| {
            let tx = tx.clone();
            let s = Arc::clone(&shared);
            thread::spawn(move || {
                for j in 0..50u64 {
                    tx.send(i * j).unwrap();
                }
                s.lock().unwrap().insert(i, i * i);
            })
        })
        .collect();
    drop(tx);
    let sum: u64 = rx.iter().sum();
    for h in handles {
        h.join().unwrap();
    }
    let m = shared.lock().unwrap();
    let mut v: Vec<_> = m.values().collect();
    v.sort();
    println!("{} {:?}", sum, v);
    let r = thread::spawn(|| {
        if true {
            panic!("boom")
        }
    })
    .join();
    println!("{}", r.is_err());
    let (t, r) = mpsc::channel::<()>();
    println!("{:?}", r.recv_timeout(Duration::from_millis(30)).is_err());
    drop(t);
    let out = std::process::Command::new("echo")
        .arg("child")
        .output()
        .unwrap();
    println!("{:?} {}", String::from_utf8_lossy(&out.stdout), out.status);
    println!(
        "{:?}",
        std::fs::read_to_string("/nonexistent").map_err(|e| e.kind())
    );
    std::process::exit(3);
}
