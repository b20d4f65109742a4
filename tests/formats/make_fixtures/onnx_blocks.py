"""Small networks of the kinds that people export: what each is known for, once."""


def torch_blocks(torch):
    """Name, module, shapes of the inputs, opset of the old exporter or None, error."""
    nn, functional = torch.nn, torch.nn.functional

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x):
            return self.a(x, x, x, need_weights=False)[0]

    class Decoder(nn.Module):
        """Causal, the mask as a buffer; behind it a gate of two products."""

        def __init__(self):
            super().__init__()
            self.n, self.c, self.o = nn.LayerNorm(4), nn.Linear(4, 12), nn.Linear(4, 4)
            self.g, self.u, self.d = (
                nn.Linear(*s, bias=False) for s in [(4, 6)] * 2 + [(6, 4)]
            )
            self.register_buffer("mask", torch.tril(torch.ones(5, 5)).view(1, 1, 5, 5))

        def forward(self, x):
            b, t, c = x.size()
            parts = self.c(self.n(x)).split(c, dim=2)
            q, k, v = (one.view(b, t, 2, c // 2).transpose(1, 2) for one in parts)
            scores = (q @ k.transpose(-2, -1)) * (c // 2) ** -0.5
            scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).contiguous().view(b, t, c)
            x = x + self.o(mixed)
            return x + self.d(functional.silu(self.g(x)) * self.u(x))

    class Rotary(nn.Module):
        """Turned pairs, two heads of queries for one of keys, root mean squares."""

        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(4))
            self.q, self.kv = nn.Linear(4, 8, bias=False), nn.Linear(4, 8, bias=False)
            angle = torch.arange(3.0)[:, None] * torch.tensor([1.0, 0.1]).repeat(2)
            self.register_buffer("cos", angle.cos())
            self.register_buffer("sin", angle.sin())

        def turned(self, x):
            first, second = x.chunk(2, -1)
            return x * self.cos + torch.cat([-second, first], -1) * self.sin

        def forward(self, x):
            b, t, _ = x.shape
            h = self.w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
            q = self.turned(self.q(h).view(b, t, 2, 4).transpose(1, 2))
            k, v = self.kv(h).view(b, t, 2, 4).transpose(1, 2).chunk(2, 1)
            k, v = (one.expand(b, 2, t, 4) for one in (self.turned(k), v))
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return mixed.transpose(1, 2).reshape(b, t, 8)

    class Patches(nn.Module):
        """A class token before patches of an image, places added."""

        def __init__(self):
            super().__init__()
            self.p = nn.Conv2d(1, 4, 2, 2)
            self.token = nn.Parameter(torch.zeros(1, 1, 4))
            self.places = nn.Parameter(torch.zeros(1, 5, 4))
            self.h = nn.Linear(4, 3)

        def forward(self, x):
            x = self.p(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
            scores = torch.einsum("bti,bsi->bts", x, x)
            return self.h((x + scores.softmax(-1) @ x)[:, 0])

    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(2, 3, 3, 2, 1, bias=False)
            self.b = nn.Conv2d(3, 3, 3, 1, 1, bias=False)
            self.d = nn.Conv2d(2, 3, 1, 2, bias=False)
            self.n = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(3))
            self.f = nn.Linear(3, 4)

        def forward(self, x):
            y = self.n[1](self.b(functional.relu(self.n[0](self.a(x)))))
            y = functional.relu(y + self.n[2](self.d(x)))
            return self.f(torch.flatten(functional.adaptive_avg_pool2d(y, 1), 1))

    class Squeezed(nn.Module):
        """Depthwise convolution, channels weighed by their means."""

        def __init__(self):
            super().__init__()
            self.e = nn.Sequential(nn.Conv2d(2, 4, 1), nn.Hardswish())
            self.d = nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False)
            self.a, self.b = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)
            self.o = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            y = self.d(self.e(x))
            s = self.b(functional.relu(self.a(functional.adaptive_avg_pool2d(y, 1))))
            return x + self.o(y * functional.hardsigmoid(s))

    class Bridged(nn.Module):
        """Down, up again, and what was there before beside it."""

        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
            self.u, self.o = nn.ConvTranspose2d(3, 2, 2, 2), nn.Conv2d(6, 1, 1)

        def forward(self, x):
            a = functional.relu(self.a(x))
            b = functional.leaky_relu(self.b(functional.max_pool2d(a, 2)), 0.1)
            wide = functional.interpolate(b[:, :2], size=a.shape[2:])
            return self.o(torch.cat([self.u(b), wide, a], 1))

    class Deep(nn.Module):
        """Each layer reads all before it; the largest and the mean of each channel."""

        def __init__(self):
            super().__init__()
            sizes = (2, 4, 6)
            self.n = nn.ModuleList(nn.BatchNorm1d(k) for k in sizes)
            self.c = nn.ModuleList(nn.Conv1d(k, 2, 3, padding=1) for k in sizes)

        def forward(self, x):
            for norm, convolution in zip(self.n, self.c, strict=True):
                x = torch.cat([x, convolution(functional.relu(norm(x)))], 1)
            x = torch.cat([x.amax(-1), x.mean(-1)], 1)
            return functional.normalize(x, dim=1)

    class Next(nn.Module):
        """A wide depthwise convolution, channels last for the rest."""

        def __init__(self):
            super().__init__()
            self.d, self.n = nn.Conv2d(3, 3, 5, padding=2, groups=3), nn.LayerNorm(3, 1e-6)
            self.a, self.b = nn.Linear(3, 6), nn.Linear(6, 3)
            self.g = nn.Parameter(torch.ones(3))

        def forward(self, x):
            y = self.n(self.d(x).permute(0, 2, 3, 1))
            y = self.g * self.b(functional.gelu(self.a(y)))
            return x + y.permute(0, 3, 1, 2)

    layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    return [
        ("attention", Attention(), [(3, 4)], 14, 1e-6),
        ("encoder", encoder, [(3, 4)], None, 1e-6),  # 23 kB by the old one
        ("decoder", Decoder(), [(3, 4)], 17, 1e-6),
        ("rotary", Rotary(), [(3, 4)], 17, 1e-6),
        ("patches", Patches(), [(1, 4, 4)], 17, 1e-6),
        ("shortcut", Shortcut(), [(2, 6, 6)], 13, 1e-6),
        ("squeezed", Squeezed(), [(2, 4, 4)], 14, 1e-6),
        ("bridged", Bridged(), [(1, 4, 4)], 11, 1e-6),
        ("deep", Deep(), [(2, 5)], 18, 1e-6),
        ("next", Next(), [(3, 4, 4)], 17, 1e-6),
    ]
