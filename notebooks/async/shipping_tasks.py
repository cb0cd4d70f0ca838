# needs: rabbitmq
import os

from celery import Celery

app = Celery("shipping_tasks", broker=os.environ["BROKER"])
app.conf.task_acks_late = True


@app.task
def ship(order):
    pass
