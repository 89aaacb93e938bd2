"""The glTF reader: supported features, and messages for invalid files."""

from __future__ import annotations

import base64
import io
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from protocol.errors import VantageError
from sim_server.backends import untrusted
from sim_server.backends.rooms.files.gltf import MIRROR, REPEAT, read_gltf
from sim_server.backends.untrusted import Reader

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
ORDER = np.array([0, 1, 2, 0, 2, 3], np.uint16)


def document(*arrays: np.ndarray[Any, Any], **parts: Any) -> tuple[dict[str, Any], bytes]:
    """A document with these arrays as accessors, and its binary chunk; `parts` replace or add members."""
    binary, views, accessors = b"", [], []
    kinds = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
    codes = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
    for array in arrays:
        binary += b"\0" * (-len(binary) % 4)
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": array.nbytes})
        binary += array.tobytes()
        width = 1 if array.ndim == 1 else array.shape[1]
        entry = {"componentType": codes[str(array.dtype)], "count": len(array), "type": kinds[width]}
        accessors.append({"bufferView": len(views) - 1, **entry})
    value: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "square", "mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    return {**value, **parts}, binary


def glb(value: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(value).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(body)) + body


def read(folder: Path, value: dict[str, Any], binary: bytes):
    file = folder / "a.glb"
    file.write_bytes(glb(value, binary))
    return read_gltf(file, Reader(file.parent))


def refused(folder: Path, data: bytes, name: str = "a.glb") -> VantageError:
    (folder / name).write_bytes(data)
    with pytest.raises(VantageError) as caught:
        read_gltf(folder / name, Reader(folder))
    assert name in caught.value.message and caught.value.message.count("\n") == 0
    return caught.value


# ---------------------------------------------------------------------- supported features


def test_node_transforms_are_applied_from_the_root_down(tmp_path):
    nodes = [
        {"name": "table", "children": [1], "translation": [1, 2, 3], "rotation": [0, 0.7071068, 0, 0.7071068]},
        {"name": "leg", "mesh": 0, "scale": [2, 1, 1]},
        {"name": "chair", "mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 0, 0, 1]},
    ]
    asset = read(tmp_path, *document(SQUARE, ORDER, nodes=nodes, scenes=[{"nodes": [0, 2]}]))
    table, chair = asset.primitives
    assert (table.name, table.top_node, chair.name, chair.top_node) == ("table", 0, "chair", 2)
    assert np.allclose(table.positions[2], [1, 3, 1], atol=1e-6)  # (2, 1, 0) turned by 90 degrees about y, moved
    assert np.allclose(chair.positions[2], [6, 1, 0])


def test_a_mirrored_node_keeps_its_fronts_outside(tmp_path):
    nodes = [{"name": "square", "mesh": 0, "scale": [-1, 1, 1]}]
    (part,) = read(tmp_path, *document(SQUARE, ORDER, nodes=nodes)).primitives
    a, b, c = part.positions[part.faces[0]]
    assert np.cross(b - a, c - a)[2] > 0


def test_strips_and_fans_are_triangles_of_one_winding(tmp_path):
    strip = np.array([0, 1, 3, 2], np.uint16)
    for mode, order in ((5, strip), (6, np.array([0, 1, 2, 3], np.uint16))):
        meshes = [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}]}]
        (part,) = read(tmp_path, *document(SQUARE, order, meshes=meshes)).primitives
        a, b, c = (part.positions[part.faces[:, k]] for k in range(3))
        assert len(part.faces) == 2 and (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_strides_normalised_and_sparse_accessors(tmp_path):
    wide = np.zeros((4, 5), np.float32)  # positions interleaved with other values
    wide[:, :3] = SQUARE
    colors = np.array([[255, 0, 0, 255], [255, 51, 0, 255], [0, 0, 0, 255], [0, 0, 255, 255]], np.uint8)
    value, binary = document(
        wide.reshape(-1), ORDER, colors, np.array([1], np.uint8), np.array([[9, 9, 9]], np.float32),
        meshes=[{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 2}, "indices": 1}]}],
    )  # fmt: skip
    value["bufferViews"][0]["byteStride"] = 20
    sparse = {"count": 1, "indices": {"bufferView": 3, "componentType": 5121}, "values": {"bufferView": 4}}
    value["accessors"][0] = {
        "bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "sparse": sparse,
    }  # fmt: skip
    value["accessors"][2]["normalized"] = True
    (part,) = read(tmp_path, value, binary).primitives
    assert np.allclose(part.positions, [[0, 0, 0], [9, 9, 9], [1, 1, 0], [0, 1, 0]])
    assert np.allclose(part.colors[1], [1, 0.2, 0])


def test_textures_are_embedded_or_in_separate_files(tmp_path):
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    png = buffer.getvalue()
    (tmp_path / "an image.png").write_bytes(png)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    images = (
        {"bufferView": 3, "mimeType": "image/png"},
        {"uri": "an%20image.png"},
        {"uri": "data:image/png;base64," + base64.b64encode(png).decode()},
    )
    for image in images:
        moved = {"offset": [0.5, 0], "scale": [2, 1]}
        info = {"index": 0, "extensions": {"KHR_texture_transform": moved}}
        value, binary = document(
            SQUARE, ORDER, uv, np.frombuffer(png, np.uint8),
            meshes=[{"primitives": [
                {"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1, "material": 0}
            ]}],
            materials=[{"pbrMetallicRoughness": {"baseColorTexture": info, "baseColorFactor": [0.5, 1, 1, 1]}}],
            textures=[{"source": 0, "sampler": 0}], samplers=[{"wrapS": 33648}], images=[image],
            extensionsRequired=["KHR_texture_transform"],
        )  # fmt: skip
        asset = read(tmp_path, value, binary)
        (part,), (texture,) = asset.primitives, asset.textures
        assert part.texture == 0 and np.allclose(part.colors, [[0.5, 1, 1]] * 4)
        assert np.allclose(part.uv, uv * [2, 1] + [0.5, 0])
        assert (texture.pixels == pixels).all() and (texture.wrap_u, texture.wrap_v) == (MIRROR, REPEAT)


def test_gltf_files_with_a_separate_buffer(tmp_path):
    value, binary = document(SQUARE, ORDER)
    value["buffers"][0]["uri"] = "a.bin"
    (tmp_path / "a.bin").write_bytes(binary)
    (tmp_path / "a.gltf").write_text(json.dumps(value))
    assert len(read_gltf(tmp_path / "a.gltf", Reader(tmp_path)).primitives[0].faces) == 2
    (tmp_path / "a.bin").unlink()
    with pytest.raises(VantageError, match="a.bin cannot be read"):
        read_gltf(tmp_path / "a.gltf", Reader(tmp_path))


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_grey_textures_of_8_and_16_bits(tmp_path, mode):
    values = np.array([[0, 32768, 65535, 257]], np.uint16)
    grey = Image.fromarray(values if mode == "I;16" else np.array([[0, 128, 255, 1]], np.uint8))
    grey.save(tmp_path / "grey.png")
    (tmp_path / "a.glb").write_bytes(textured("grey.png"))
    (texture,) = read_gltf(tmp_path / "a.glb", Reader(tmp_path)).textures
    assert texture.pixels.tolist() == [[[value] * 3 for value in (0, 128, 255, 1)]]


@pytest.mark.parametrize(("given", "read_as"), [([1.0000001, -1e-9, 0.5, 1], [1, 0, 0.5]), ([7, 0, 0, 1], [1, 0, 0])])
def test_base_colours_are_clamped(tmp_path, given, read_as):
    value, binary = document(SQUARE, ORDER, materials=[{"pbrMetallicRoughness": {"baseColorFactor": given}}])
    value["meshes"][0]["primitives"][0]["material"] = 0
    assert read(tmp_path, value, binary).primitives[0].colors[0].tolist() == read_as
    value["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [float("nan"), 0, 0, 1]
    assert "finite" in refused(tmp_path, glb(value, binary)).message


def test_hidden_nodes_and_their_children_are_left_out(tmp_path):
    hidden = {"KHR_node_visibility": {"visible": False}}
    nodes = [
        {"name": "shown", "mesh": 0, "extensions": {"KHR_node_visibility": {"visible": True}}},
        {"name": "parent", "children": [2], "extensions": hidden},
        {"name": "child", "mesh": 0},
    ]
    used = {"extensionsUsed": ["KHR_node_visibility"], "extensionsRequired": ["KHR_node_visibility"]}
    value, binary = document(SQUARE, ORDER, nodes=nodes, scenes=[{"nodes": [0, 1]}], **used)
    assert [part.name for part in read(tmp_path, value, binary).primitives] == ["shown"]
    value["scenes"] = [{"nodes": [1]}]  # a single root without a mesh is descended into, unless it is hidden
    assert "no triangles" in refused(tmp_path, glb(value, binary)).message


# ---------------------------------------------------------------------- invalid files


def test_invalid_and_truncated_files(tmp_path):
    whole = glb(*document(SQUARE, ORDER))
    assert "not a GLB" in refused(tmp_path, b"<html>404</html>").message
    assert "truncated" in refused(tmp_path, whole[:-30]).message
    assert "truncated" in refused(tmp_path, whole[:16]).message
    assert refused(tmp_path, b"").code == "corrupt"
    assert "invalid JSON" in refused(tmp_path, b"{", "a.gltf").message
    with pytest.raises(VantageError, match="no.glb cannot be read"):
        read_gltf(tmp_path / "no.glb", Reader(tmp_path))


def test_a_mesh_without_triangles(tmp_path):
    points = [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}]
    assert "no triangles" in refused(tmp_path, glb(*document(SQUARE, ORDER, meshes=points))).message
    assert "no triangles" in refused(tmp_path, glb(*document(SQUARE, ORDER, nodes=[{}]))).message


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_vertices_that_are_not_finite(tmp_path, wrong):
    bad = SQUARE.copy()
    bad[2, 1] = wrong
    assert "not finite" in refused(tmp_path, glb(*document(bad, ORDER))).message


def test_triangles_of_vertices_that_do_not_exist(tmp_path):
    assert "does not exist" in refused(tmp_path, glb(*document(SQUARE, np.array([0, 1, 4], np.uint16)))).message


def test_cyclic_node_trees(tmp_path):
    nodes = [{"children": [1]}, {"children": [0], "mesh": 0}]
    assert refused(tmp_path, glb(*document(SQUARE, ORDER, nodes=nodes))).code == "corrupt"


def test_compressed_meshes_are_reported_with_advice(tmp_path):
    error = refused(tmp_path, glb(*document(SQUARE, ORDER, extensionsRequired=["KHR_draco_mesh_compression"])))
    assert error.code == "unsupported" and "without Draco" in error.message


def test_a_huge_count_allocates_no_memory(tmp_path):
    value, binary = document(SQUARE, ORDER)
    value["accessors"][0] = {"componentType": 5126, "count": 2**40, "type": "VEC3"}
    assert refused(tmp_path, glb(value, binary)).code == "corrupt"


# ---------------------------------------------------------------------- files outside, and bounds


def textured(uri: str) -> bytes:
    value, binary = document(SQUARE, ORDER)
    value["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    value["textures"], value["images"] = [{"source": 0}], [{"uri": uri}]
    value["meshes"][0]["primitives"][0]["material"] = 0
    return glb(value, binary)


def test_only_regular_files_inside_the_root_are_read(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    png = io.BytesIO()
    Image.new("RGB", (2, 2)).save(png, "PNG")
    (tmp_path / "outside.png").write_bytes(png.getvalue())
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    with (folder / "huge.png").open("wb") as file:
        file.truncate(2**42)
    absolute = str(tmp_path / "outside.png")
    outside = ("../outside.png", "%2E%2E/outside.png", absolute, f"file://{absolute}", "link.png")
    special = ("/dev/zero", "pipe.png", "loop.png", "folder.png", "huge.png", "no\0name.png", "\x1b[31m.png", "")
    for uri in (*outside, *special):
        (folder / "a.glb").write_bytes(textured(uri))
        with pytest.raises(VantageError) as caught:
            read_gltf(folder / "a.glb", Reader(folder))
        assert caught.value.code in ("corrupt", "unsupported") and caught.value.message.isprintable(), uri
    (folder / "inside").mkdir()
    (folder / "own.png").write_bytes(png.getvalue())
    (folder / "inside" / "own.png").symlink_to(folder / "own.png")
    for uri in ("own.png", "inside/own.png", "inside/../own.png"):
        (folder / "a.glb").write_bytes(textured(uri))
        assert len(read_gltf(folder / "a.glb", Reader(folder)).textures) == 1


def test_a_small_file_cannot_ask_for_much_memory(tmp_path):
    """Accessors without data are zeros of any count, and nodes may show a mesh any number of times."""
    value, binary = document(SQUARE, ORDER)
    value["accessors"][0] = {"componentType": 5126, "count": 2**23, "type": "VEC3"}
    assert "without data" in refused(tmp_path, glb(value, binary)).message
    value, binary = document(SQUARE, ORDER)
    value["accessors"][0] = {"componentType": 5126, "count": 2**16, "type": "VEC3"}
    value["nodes"] = [{"mesh": 0}] * 2000
    value["scenes"] = [{"nodes": list(range(2000))}]
    error = refused(tmp_path, glb(value, binary))
    assert error.code == "unsupported" and "vertices" in error.message


def test_many_large_images_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setitem(untrusted.LIMITS, untrusted.PIXELS, 3 * 64 * 64)
    png = io.BytesIO()
    Image.new("RGB", (64, 64)).save(png, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    value, binary = document(SQUARE, ORDER)
    value["images"] = [{"uri": uri}] * 4
    value["textures"] = [{"source": k} for k in range(4)]
    value["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": k}}} for k in range(4)]
    primitive = value["meshes"][0]["primitives"][0]
    value["meshes"][0]["primitives"] = [{**primitive, "material": k} for k in range(3)]
    assert len(read(tmp_path, value, binary).textures) == 3
    value["meshes"][0]["primitives"] = [{**primitive, "material": k} for k in range(4)]
    assert "pixels" in refused(tmp_path, glb(value, binary)).message


WHOLE = (Path(__file__).parents[3] / "data/reference/flat/dataset/objects/picture_24.glb").read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6),
    end=st.one_of(st.just(len(WHOLE)), st.integers(0, len(WHOLE))),
    token=st.sampled_from([b"", b"-1", b"1e99", b"null", b'"x"', b"[]", b"{}", b"true", b"99999999999", b"NaN"]),
    at=st.integers(0, 200),
)
def test_mutated_files_are_read_or_rejected(tmp_path, changes, end, token, at):
    data = bytearray(WHOLE)
    for place, byte in changes:
        data[place] = byte
    if token:  # replace a number in the JSON by a token of the same length
        size = struct.unpack_from("<I", WHOLE, 12)[0]
        digits = [k for k in range(20, 20 + size - len(token)) if WHOLE[k : k + 1].isdigit()]
        place = digits[at % len(digits)]
        data[place : place + len(token)] = token
    file = tmp_path / "m.glb"
    file.write_bytes(bytes(data[:end]))
    try:
        asset = read_gltf(file, Reader(file.parent))
    except VantageError as error:
        assert error.code in ("corrupt", "unsupported") and str(file.parent) in error.message
    else:
        for part in asset.primitives:
            assert np.isfinite(part.positions).all() and int(part.faces.max()) < len(part.positions)
