use super::*;

const LIMIT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn waiting_ends_at_the_limit() {
    let started = Instant::now();
    let forever = std::future::pending::<wasmtime::Result<()>>();
    let error = Meter::new(LIMIT).run(forever).await.expect_err("overtime");
    assert!(error.is::<Overtime>());
    assert!(started.elapsed() >= LIMIT);
}

#[tokio::test]
async fn giving_way_is_neither_waiting_nor_running() {
    let meter = Meter::new(LIMIT);
    let inner = meter.clone();
    let call = async {
        // What the epoch's callback does.
        inner.0.yielded.store(true, Relaxed);
        tokio::task::yield_now().await;
        Ok(inner.0.ran.load(Relaxed))
    };
    let busy = async {
        let started = Instant::now();
        while started.elapsed() < LIMIT * 2 {
            std::hint::spin_loop();
        }
    };
    let (ran, ()) = tokio::join!(meter.run(call), busy);
    assert!(Duration::from_nanos(ran.expect("in time")) < LIMIT);
}
