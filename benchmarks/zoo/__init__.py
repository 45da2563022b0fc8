"""The nets that are measured: random weights, exported as torch exports nets today."""

from __future__ import annotations

from benchmarks.zoo import dense, tokens, vision
from benchmarks.zoo.specimen import Specimen

ZOO: dict[str, Specimen] = {
    one.name: one
    for one in (
        Specimen("mlp", "MLP 784-512-512-10, batch 64", dense.mlp, dense.pixels(64)),
        Specimen("resnet50", "ResNet-50, batch 4", vision.resnet50, vision.picture(4), plain=True),
        Specimen(
            "mobilenetv2", "MobileNetV2, batch 4", vision.mobilenetv2, vision.picture(4), plain=True
        ),
        Specimen("unet", "U-Net 256×256, batch 1", vision.unet, vision.picture(1, side=256)),
        Specimen("vit", "ViT-B/16, batch 2", tokens.vit, vision.picture(2)),
        Specimen(
            "bert",
            "BERT-base, batch 4, length 128",
            tokens.bert,
            tokens.words(4, 128, 30522),
            inner="net.bert.embeddings.word_embeddings",
        ),
        Specimen(
            "gpt2",
            "GPT-2 small, batch 1, length 256",
            tokens.gpt2,
            tokens.words(1, 256, 50257),
            inner="net.transformer.wte",
        ),
        Specimen(
            "lstm",
            "LSTM, 2 layers of 512, 100 steps, batch 8",
            dense.lstm,
            dense.steps(8),
            axis=1,
            plain=True,
        ),
        Specimen("acas1", "ACAS Xu, batch 1", dense.acas, dense.encounters(1)),
        Specimen("acas4096", "ACAS Xu, batch 4096", dense.acas, dense.encounters(4096)),
    )
}

__all__ = ["ZOO", "Specimen"]
