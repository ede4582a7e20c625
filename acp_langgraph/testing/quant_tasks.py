"""Task management of the fake Quant service: records, and nothing that works on them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from acp_langgraph.testing.http import FakeHTTPServer
from acp_langgraph.testing.quant_records import FakeTask, QuantClock
from acp_langgraph.testing.requests import RecordedRequest
from acp_langgraph.testing.responses import Response

__all__ = ["TaskOperations", "parameter"]


class TaskOperations(FakeHTTPServer):
    """What the service does with tasks; `FakeQuant` is the one to use.

    Attributes:
        clock: Tells the server's time.
        tasks: The tasks, by id.
    """

    def __init__(self, clock: QuantClock, *, port: int) -> None:
        super().__init__(port=port)
        self.clock = clock
        self.tasks: dict[str, FakeTask] = {}

    def add_task(self, title: str, *depends_on: FakeTask, **fields: Any) -> FakeTask:
        """Create a task as somebody else would have done it."""
        ids = [task.task_id for task in depends_on]
        with self.changed:
            return self._add_task({"title": title, "dependsOn": ids, **fields})

    def _create_task(self, request: RecordedRequest) -> Response:
        body = request.json
        if not body.get("title"):
            return Response.json({"errors": {"title": ["The title field is required."]}}, 400)
        task = self._add_task(body)
        names = ("taskId", "orgId", "title", "status", "createdAt")
        return Response.json({name: task.fields[name] for name in names}, 201)

    def _add_task(self, body: Mapping[str, Any]) -> FakeTask:
        now = int(self.clock.now() * 1000)
        fields = {
            "taskId": str(uuid.uuid4()),
            "orgId": "acme",
            "taskListId": None,
            "description": "",
            "status": "pending",
            "assignedAgentId": None,
            "dependsOn": [],
            "metadata": {},
            "progress": 0,
            "result": None,
            "error": None,
            "retryCount": 0,
            "maxRetries": 3,
            "createdAt": now,
            "updatedAt": now,
            **body,
        }
        task = FakeTask(fields, [fields["status"]])
        self.tasks[task.task_id] = task
        return task

    def _list_tasks(self, request: RecordedRequest) -> Response:
        query = request.query
        wanted = {
            name: query[name]
            for name in ("taskListId", "status", "assignedAgentId")
            if name in query
        }
        found = [
            task
            for task in reversed(self.tasks.values())
            if wanted.items() <= task.fields.items()
            and query.get("dependsOn") in {None, *task.fields["dependsOn"]}
        ][: int(query.get("limit", 50))]
        shown: dict[str, Any] = {"count": len(found)}
        if "dependsOn" in query:
            ids = [task.task_id for task in found]
            shown |= {"taskIds": ids, "dependsOn": query["dependsOn"]}
        if "dependsOn" not in query or query.get("includeDetails") == "true":
            shown["tasks"] = [task.in_list() for task in found]
        return Response.json(shown)

    def _get_task(self, request: RecordedRequest) -> Response:
        task = self.tasks.get(parameter(request, "task_id"))
        if task is None:
            return Response.json({"error": "Task not found"}, 404)
        return Response.json(task.fields)

    def _update_task(self, request: RecordedRequest) -> Response:
        task = self.tasks.get(parameter(request, "task_id"))
        if task is None:
            return Response.json({"error": "Task not found"}, 404)
        task.write(request.json, self.clock.now())
        self.notify()
        names = ("taskId", "status", "updatedAt")
        return Response.json({name: task.fields[name] for name in names})

    def _delete_task(self, request: RecordedRequest) -> Response:
        task_id = parameter(request, "task_id")
        if task_id not in self.tasks:
            return Response.json({"error": "Task not found"}, 404)
        doomed, dependents = [task_id], self._dependents(task_id)
        if dependents and request.query.get("cascade") != "true":
            said = {"error": "TASK_HAS_DEPENDENTS", "message": f"{len(dependents)} depend on it"}
            return Response.json({**said, "dependentTaskIds": dependents}, 409)
        for each in doomed:
            doomed += [other for other in self._dependents(each) if other not in doomed]
        for each in doomed:
            del self.tasks[each]
        return Response.json(
            {"deleted": True, "deletedCount": len(doomed), "deletedTaskIds": doomed}
        )

    def _get_dependency_graph(self, request: RecordedRequest) -> Response:
        wanted = parameter(request, "task_list_id")
        listed = [task for task in self.tasks.values() if task.fields["taskListId"] == wanted]
        graph = {
            task.task_id: {
                "taskId": task.task_id,
                "title": task.fields["title"],
                "status": task.status,
                "dependsOn": task.fields["dependsOn"],
                "dependents": self._dependents(task.task_id),
            }
            for task in listed
        }
        shown = {
            "taskListId": wanted,
            "taskCount": len(listed),
            "roots": [each for each, node in graph.items() if not node["dependsOn"]],
            "leaves": [each for each, node in graph.items() if not node["dependents"]],
            "graph": graph,
        }
        return Response.json(shown)

    def _dependents(self, task_id: str) -> list[str]:
        return [task.task_id for task in self.tasks.values() if task_id in task.fields["dependsOn"]]


def parameter(request: RecordedRequest, name: str) -> str:
    """A parameter of the path that a request went to."""
    if request.route is None:
        raise LookupError(name)
    return request.route.parameters[name]
