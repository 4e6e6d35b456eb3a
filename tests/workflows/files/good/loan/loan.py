"""Step functions of a loan."""

from remit.workflows import StartSubWorkflowDirective, WorkflowJumpDirective


def initialize(state, context, **user_input):
    """Does nothing to the flow."""
    return {}


def withdraw(state, context):
    """Takes the application back."""
    return {}


def evaluate(state, context):
    """Small loans go straight to the decision."""
    target = "Generate_Final_Decision" if state.amount < 1000 else "Run_KYC_Workflow"
    raise WorkflowJumpDirective(target_step_name=target, result={"pre_approved": True})


async def run_kyc(state, context):
    """Starts the child that knows the customer."""
    data = {"user_name": state.applicant, "id_document_url": state.document}
    raise StartSubWorkflowDirective("KYC", data)


raise AssertionError("a check imports nothing")
