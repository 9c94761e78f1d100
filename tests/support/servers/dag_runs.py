"""Program that runs DAGs one after the other in one process, each as ``airflow dags test`` does.

The argument is JSON: the conf of each run by DAG. The last line of the output is JSON: the states of the
tasks by DAG, those of a mapped task in a list.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag


def main() -> None:
    states: dict[str, Any] = {}
    bag = DagBag()
    for dag_id, conf in json.loads(sys.argv[1]).items():
        run = bag.dags[dag_id].test(run_conf=conf)
        tasks = defaultdict(list)
        for each in run.get_task_instances():
            tasks[each.task_id].append(each.state)
        states[dag_id] = tasks
    print(json.dumps(states))


if __name__ == "__main__":
    main()
