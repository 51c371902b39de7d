"""Every verb, and where its class is."""

VERBS = {
    "survey": "decamp.cli.survey:Survey",
    "assess": "decamp.cli.assess:Assess",
    "plan move": "decamp.cli.plan_move:PlanMove",
    "plan vacate": "decamp.cli.plan_vacate:PlanVacate",
    "plan expand": "decamp.cli.plan_expand:PlanExpand",
    "show": "decamp.cli.show:Show",
    "check": "decamp.cli.check:Check",
    "apply": "decamp.cli.apply:Apply",
    "runs": "decamp.cli.runs:Runs",
    "status": "decamp.cli.status:Status",
    "resume": "decamp.cli.resume:Resume",
    "cancel": "decamp.cli.cancel:Cancel",
    "undo": "decamp.cli.undo:Undo",
    "confirm": "decamp.cli.confirm:Confirm",
    "worker": "decamp.cli.worker:Worker",
    "lab up": "decamp.cli.lab:Up",
    "lab seed": "decamp.cli.lab_seed:Seed",
    "lab status": "decamp.cli.lab:Status",
    "lab down": "decamp.cli.lab:Down",
    "lab demo": "decamp.cli.lab_demo:Demo",
}
