from attune_monitoring import llm_call, stage, workflow


def test_a_run_gives_spans_metrics_and_records(attune_capture):
    @workflow("review")
    def review():
        with stage("analyze", tier="cheap"), llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_usage(input_tokens=10, output_tokens=3)

    review()
    [call] = attune_capture.calls
    [run] = attune_capture.runs
    assert (call.workflow_name, call.tier, call.run_id) == ("review", "cheap", run.run_id)
    assert run.total_cost == call.cost > 0
    assert [span.name for span in attune_capture.spans] == ["chat gpt-4o-mini", "stage analyze", "invoke_workflow review"]
    assert attune_capture.metric("attune.llm.cost")[0].value == call.cost
