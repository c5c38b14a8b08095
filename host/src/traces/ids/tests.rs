use super::*;

const RUN: &str = "01a208d8-d346-73d9-93b3-cdbef4c51e02";

fn run() -> FlowRunId {
    FlowRunId(Uuid::parse_str(RUN).expect("an id"))
}

#[test]
fn ids_are_the_same_for_ever() {
    let of_run = |round| Place::of_run(run(), round).traceparent(true);
    let of_attempt = |node, attempt| Place::of_attempt(run(), node, attempt).traceparent(true);
    let told = [
        of_run(0),
        of_run(1),
        of_attempt(NodeId::task(0), 1),
        of_attempt(NodeId::task(0), 2),
        of_attempt(NodeId::item(1, 2), 1),
    ];
    let expected = [
        "d0b3264524d1532a",
        "6e38ae3bc49e5ad7",
        "807ef1c5c2c453cd",
        "e13f6bf62bd25231",
        "ca59ced4721f5056",
    ];
    let trace = RUN.replace('-', "");
    assert_eq!(told, expected.map(|span| format!("00-{trace}-{span}-01")));
}

#[test]
fn a_celery_id_begins_with_its_span() {
    let celery = NodeId::task(7).run_id(run()).attempt_key(3).simple().to_string();
    let span = Place::of_attempt(run(), NodeId::task(7), 3).span.to_string();
    assert_eq!(celery[..16], span);
}

#[test]
fn the_header_is_read_as_it_is_written() {
    let place = Place::of_run(run(), 0);
    assert_eq!(Place::parse(&place.traceparent(false)), Some(place));
    let later = format!("01-{}-{}-01-more", place.trace, place.span);
    assert_eq!(Place::parse(&later), Some(place));
    let zeros = |n| "0".repeat(n);
    for wrong in [
        String::new(),
        format!("00-{}-{}", place.trace, place.span),
        format!("00-{}-{}-01-more", place.trace, place.span),
        format!("ff-{}-{}-01", place.trace, place.span),
        format!("00-{}-{}-01", zeros(32), place.span),
        format!("00-{}-{}-01", place.trace, zeros(16)),
        format!("00-{}-{}-01", place.trace.to_string().to_uppercase(), place.span),
        format!("00-{}-ä{}-01", place.trace, &place.span.to_string()[2..]),
        format!("00-+{}-{}-01", &place.trace.to_string()[1..], place.span),
    ] {
        assert_eq!(Place::parse(&wrong), None, "{wrong}");
    }
}

#[test]
fn a_smaller_sample_is_part_of_a_larger_one() {
    let traces: Vec<TraceId> = (0..10_000_u32)
        .map(|n| TraceId::of(FlowRunId(Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes()))))
        .collect();
    let sampled = |percent| traces.iter().filter(|trace| trace.is_sampled(percent)).count();
    assert_eq!((sampled(0), sampled(100), sampled(255)), (0, 10_000, 10_000));
    let tenth = sampled(10);
    assert!((800..1_200).contains(&tenth), "{tenth}");
    assert!(traces.iter().all(|trace| !trace.is_sampled(10) || trace.is_sampled(20)));
}
