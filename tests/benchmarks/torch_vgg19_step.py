"""One evaluation of style transfer's J and its gradient with VGG-19, written in PyTorch; prints seconds a line.

    python torch_vgg19_step.py SIDE_PX

The costs are those of `core.style.costs`: half the squared difference of block4_conv2, five Gram matrices, total
variation. Random weights: the time is the same. Both memory layouts of PyTorch are measured.
"""

import os
import sys
import time

try:
    import torch
except ImportError:  # the collection of tests imports every file, and the project has no PyTorch
    torch = None

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))


def network(memory_format):
    """Layers of VGG-19 up to block5_conv1, and the places of the style layers and of the content layer."""
    layers, channels, taps, content = [], 3, [], -1
    for block, (filters, count) in enumerate(BLOCKS, 1):
        if layers:
            layers.append(torch.nn.MaxPool2d(2))
        for number in range(1, count + 1):
            layers += [torch.nn.Conv2d(channels, filters, 3, padding=1), torch.nn.ReLU()]
            channels = filters
            if number == 1:
                taps.append(len(layers) - 1)
            if (block, number) == (4, 2):
                content = len(layers) - 1
    module = torch.nn.Sequential(*layers).requires_grad_(False).to(memory_format=memory_format)
    return module, taps, content


class Step:
    """J and its gradient of a picture, from and to NumPy as a search asks for them."""

    def __init__(self, side_px, memory_format):
        torch.manual_seed(0)
        self.layers, self.taps, self.content_at = network(memory_format)
        self.memory_format = memory_format
        content, style = (255 * torch.rand(1, 3, side_px, side_px) for _ in range(2))
        with torch.no_grad():
            _, self.content = self.answers(content)
            style_answers, _ = self.answers(style)
            self.grams = [self.gram(a) for a in style_answers]
        self.picture = content.numpy()

    def answers(self, picture):
        x, styles, content = picture.to(memory_format=self.memory_format), [], None
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                styles.append(x)
            if index == self.content_at:
                content = x
        return styles, content

    @staticmethod
    def gram(a):
        columns = a.flatten(2)[0]  # (n_C, n_H * n_W)
        return columns @ columns.T

    def __call__(self):
        picture = torch.from_numpy(self.picture).requires_grad_()
        styles, content = self.answers(picture)
        style = 0.0
        for gram_s, a in zip(self.grams, styles, strict=True):
            style = style + 0.2 * ((gram_s - self.gram(a)) ** 2).sum() / (2.0 * a[0].numel()) ** 2
        down, right = picture[..., 1:, :] - picture[..., :-1, :], picture[..., 1:] - picture[..., :-1]
        variation = (down**2).sum() + (right**2).sum()
        cost = 0.5 * ((content - self.content) ** 2).sum() + 1000 * style + 1e-3 * variation
        cost.backward()
        return float(cost.detach()), picture.grad.numpy()


def main():
    """Answer each line on standard input with a line of seconds."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    side_px = int(sys.argv[1])
    steps = {
        "contiguous": Step(side_px, torch.contiguous_format),
        "channels_last": Step(side_px, torch.channels_last),
    }
    for step in steps.values():
        step()
    for _ in sys.stdin:
        seconds = {}
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name] = time.perf_counter() - start
        print(" ".join(f"{name}={value:.6f}" for name, value in seconds.items()), flush=True)


if __name__ == "__main__":
    main()
