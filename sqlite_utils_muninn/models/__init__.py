"""Models: from a file or a server to vectors, tokens and scores.

    files/       catalogue, download, conversion, checksum and header of a GGUF file
    probe        opening a new file in another process first (apart)
    llama, engine, encoder, workers, batches    computing: llama.cpp, and BERT in 8-bit integers
    wordpiece, tokenizing, pairs                what a model reads of a text, or of two
    model, rerank                               what everything above sees: texts in, vectors out
    backends/    where a model of a name comes from: here, a server, trigrams, a plugin's
    names, registry, limits    names on a connection; one engine a file; memory of the process
    quality/, quantize         whether a file is good, how fast, and making it smaller
    texts/       what needs no model: sentences, chunks, trigrams
    sql/         what is put on a connection

Only `llama` calls llama.cpp, and only when something is computed: everything else works without.
"""
