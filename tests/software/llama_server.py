"""llama.cpp's server with a model of random weights, which says anything: ``llama_server.py FILE PORT API_KEY``.

It runs where xllamacpp is installed, which has that server, and gguf, which writes the model.
"""

import sys
import threading

import gguf
import numpy as np
import xllamacpp

NAME = "random"
WIDTH, INNER, HEADS = 32, 64, 2


def write(path):
    """Write a model of one layer, whose tokens are bytes."""
    kinds = gguf.TokenType
    tokens = {"<unk>": kinds.UNKNOWN, "<s>": kinds.CONTROL, "</s>": kinds.CONTROL}
    tokens |= {f"<0x{byte:02X}>": kinds.BYTE for byte in range(256)} | {"\u2581": kinds.NORMAL}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*tokens])
    writer.add_token_types([*tokens.values()])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    random = np.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), WIDTH), "output": (len(tokens), WIDTH)}
    shapes |= {f"blk.0.attn_{each}": (WIDTH, WIDTH) for each in ("q", "k", "v", "output")}
    shapes |= {f"blk.0.ffn_{each}": (INNER, WIDTH) for each in ("gate", "up")}
    shapes["blk.0.ffn_down"] = WIDTH, INNER
    for name, shape in shapes.items():
        weights = random.standard_normal(shape) / 10
        writer.add_tensor(f"{name}.weight", weights.astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(path, port, api_key):
    """Serve a model until the process ends."""
    options = xllamacpp.CommonParams()
    options.model.path = path
    options.model_alias = {NAME}
    options.hostnames = ["127.0.0.1"]
    options.port = port
    options.api_keys = [api_key]
    options.n_ctx, options.n_parallel = 256, 1
    server = xllamacpp.Server(options)  # until nothing refers to it
    threading.Event().wait()
    del server


if __name__ == "__main__":
    path, port, api_key = sys.argv[1:]
    write(path)
    serve(path, int(port), api_key)
