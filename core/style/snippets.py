"""The costs as programs to copy; what is run is `core.style.costs`, these are the same formulas in other words."""

NUMPY = """import numpy as np

def content_cost(a_C, a_G):                     # activations (n_H, n_W, n_C) of one layer
    return 0.5 * np.sum((a_C - a_G) ** 2)

def gram_matrix(a):                             # G_kk' = sum_ij a_ijk a_ijk'
    return np.einsum("ijk,ijl->kl", a, a)       # (n_C, n_C)

def layer_style_cost(a_S, a_G):
    n_H, n_W, n_C = a_G.shape
    return np.sum((gram_matrix(a_S) - gram_matrix(a_G)) ** 2) / (2 * n_H * n_W * n_C) ** 2

def total_cost(J_content, style_costs, lambdas, alpha, beta):
    return alpha * J_content + beta * sum(lambdas[l] * J for l, J in style_costs.items())
"""

TENSORFLOW = '''import tensorflow as tf

@tf.function                                    # compiled once for each size
def step(G, activations, a_C, grams_S, lambdas, alpha, beta, rate):
    """One update G := G - rate dJ/dG; `activations(G)` gives style layers and, last, the content layer."""
    with tf.GradientTape() as tape:
        tape.watch(G)                           # (1, H, W, 3), the pixels are what is learned
        *style_layers, content_layer = activations(G)
        J = alpha * 0.5 * tf.reduce_sum((a_C - content_layer) ** 2)
        for lam, gram_S, a in zip(lambdas, grams_S, style_layers):
            _, n_H, n_W, n_C = a.shape
            gram_G = tf.einsum("bijk,bijl->kl", a, a)
            J += beta * lam * tf.reduce_sum((gram_S - gram_G) ** 2) / (2 * n_H * n_W * n_C) ** 2
    return G - rate * tape.gradient(J, G), J
'''

KERAS = """import keras
from keras import ops

network = keras.applications.VGG19(include_top=False)      # or the embedded backbone
layers = [f"block{b}_conv1" for b in range(1, 6)] + ["block4_conv2"]
activations = keras.Model(network.inputs, [network.get_layer(name).output for name in layers])

def gram_matrix(a):                                         # (n_H, n_W, n_C) to (n_C, n_C)
    columns = ops.reshape(a, (-1, a.shape[-1]))
    return ops.matmul(ops.transpose(columns), columns)

def adaptive_instance_norm(content, style, epsilon=1e-5):   # the feed-forward network's one idea
    mean_c, var_c = ops.moments(content, axes=(1, 2), keepdims=True)
    mean_s, var_s = ops.moments(style, axes=(1, 2), keepdims=True)
    return ops.sqrt(var_s + epsilon) * (content - mean_c) / ops.sqrt(var_c + epsilon) + mean_s
"""

SNIPPETS = {"NumPy": NUMPY, "TensorFlow": TENSORFLOW, "Keras": KERAS}
