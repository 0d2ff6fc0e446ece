"""Where the gradients of a training loop are whole, and not clipped yet.

A chapter shows most of them; test_trainers.py runs all.
"""

import lightning
import torch
import transformers
from torch import nn

from shortcuts import gradient_means

loss_fn = nn.MSELoss()


def train(model, batches, optimizer, log):
    """Log the gradients of each step before they are clipped."""
    for step, (x, target) in enumerate(batches):
        loss_fn(model(x), target).backward()
        log.add(step, dW=gradient_means(model))
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()


def train_in_parts(model, batches, optimizer, log):
    """Take each step with the gradients of several microbatches."""
    for step, parts in enumerate(batches):
        for x, target in parts:
            loss_fn(model(x), target).backward()  # not divided by len(parts)
        log.add(step, dW=gradient_means(model, scale=len(parts)))
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=len(parts))
        optimizer.step()
        optimizer.zero_grad()


def train_mixed(model, batches, optimizer, log, device="cuda"):
    """Train in half precision: the scaler's factor is in each gradient."""
    scaler = torch.amp.GradScaler(device)
    for step, (x, target) in enumerate(batches):
        with torch.autocast(device, dtype=torch.float16):
            loss = loss_fn(model(x), target)
        scaler.scale(loss).backward()
        log.add(step, dW=gradient_means(model, scale=scaler.get_scale()))
        scaler.unscale_(optimizer)  # from here on, the factor is gone
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


class LogGradients(lightning.Callback):
    """For Trainer(callbacks=[LogGradients(log)], gradient_clip_val=1.0)."""

    def __init__(self, gradient_log):
        self.gradient_log = gradient_log  # self.log is Lightning's own

    def on_before_optimizer_step(self, trainer, model, optimizer):
        """Log before clipping, and after a scaler's factor is gone."""
        self.gradient_log.add(trainer.global_step, dW=gradient_means(model))


class LoggingTrainer(transformers.Trainer):
    """Takes what Trainer takes, and gradient_log=GradientLog()."""

    def __init__(self, *args, gradient_log, **kwargs):
        super().__init__(*args, **kwargs)
        self.gradient_log = gradient_log

    def training_step(self, *args, **kwargs):
        """Log after the last microbatch; callbacks come after clipping."""
        loss = super().training_step(*args, **kwargs)
        if self.accelerator.sync_gradients:
            scaler = self.accelerator.scaler  # with fp16=True, else None
            scale = scaler.get_scale() if scaler else 1.0
            means = gradient_means(self.model, scale=scale)
            self.gradient_log.add(self.state.global_step, dW=means)
        return loss


def train_anywhere(accelerator, model, batches, optimizer, log):
    """Log after the last microbatch, before accelerate clips."""
    model, batches, optimizer = accelerator.prepare(model, batches, optimizer)
    for step, (x, target) in enumerate(batches):
        with accelerator.accumulate(model):
            accelerator.backward(loss_fn(model(x), target))
            if accelerator.sync_gradients:
                scaler = accelerator.scaler  # with "fp16", else None
                scale = scaler.get_scale() if scaler else 1.0
                log.add(step, dW=gradient_means(model, scale=scale))
                accelerator.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            optimizer.zero_grad()
