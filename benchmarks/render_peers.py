"""Other renderers with one interface, for benchmarks/render.py: the same triangles, camera and outputs.

Each function takes positions float32 [V, 3], faces int32 [F, 3], the object id of each face int32 [F] and an image
size. It returns a function (eye [3], axes [3, 3] rows right, up, forward) -> (rgb or None, depth float32 [H, W], ids
int32 [H, W]). The horizontal field of view is 70 degrees. Without a GPU the GL renderers use Mesa's llvmpipe with one
thread.
"""

from __future__ import annotations

import functools
import importlib
import math
import os
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray

F32, I32 = NDArray[np.float32], NDArray[np.int32]
Draw = Callable[[F32, F32], tuple[Optional[NDArray[np.uint8]], F32, I32]]
HFOV_RAD = math.radians(70.0)
NEAR_M, FAR_M = 0.05, 40.0


def _tangents(width: int, height: int) -> tuple[float, float]:
    tangent = math.tan(HFOV_RAD / 2)
    return tangent, tangent * height / width


def embree(positions: F32, faces: I32, owner: I32, width: int, height: int) -> Draw:
    """Primary rays only, no image: the cost of any ray caster before shading."""
    scenes, mesh = importlib.import_module("embreex.rtcore_scene"), importlib.import_module("embreex.mesh_construction")
    scene = scenes.EmbreeScene()
    mesh.TriangleMesh(scene, positions, faces)
    tan_x, tan_y = _tangents(width, height)
    x = ((np.arange(width) + 0.5) / width * 2 - 1) * tan_x
    y = (1 - (np.arange(height) + 0.5) / height * 2) * tan_y
    local = np.stack([*np.meshgrid(x, y), np.ones((height, width))], -1).reshape(-1, 3).astype(np.float32)

    def draw(eye: F32, axes: F32) -> tuple[None, F32, I32]:
        hit = scene.run(np.repeat(eye[None], len(local), 0), local @ axes, output=True)
        face = hit["primID"]
        missed = face < 0
        depth = np.where(missed, 0, hit["tfar"]).astype(np.float32)  # directions have a forward component of 1
        ids = np.where(missed, 0, owner[face]).astype(np.int32)
        return None, depth.reshape(height, width), ids.reshape(height, width)

    return draw


def mujoco(positions: F32, faces: I32, owner: I32, width: int, height: int) -> Draw:
    """Three passes, as its renderer requires: colour with shadows, depth, segmentation."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")
    lib = importlib.import_module("mujoco")
    spec = lib.MjSpec()
    spec.visual.map.znear, spec.visual.map.zfar, spec.stat.extent = NEAR_M, FAR_M, 1.0
    spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
    numbers = np.unique(owner)
    for number in numbers:
        own = faces[owner == number]
        used, local = np.unique(own, return_inverse=True)
        mesh = spec.add_mesh(name=f"m{number}", inertia=lib.mjtMeshInertia.mjMESH_INERTIA_SHELL)
        mesh.uservert, mesh.userface = positions[used].ravel().tolist(), local.ravel().tolist()
        mesh.maxhullvert = 8
        spec.worldbody.add_geom(
            type=lib.mjtGeom.mjGEOM_MESH, meshname=f"m{number}", contype=0, conaffinity=0, rgba=[0.7, 0.6, 0.5, 1]
        )
    spec.worldbody.add_light(pos=[0, 2.3, 0], dir=[0, -1, 0])
    tan_y = _tangents(width, height)[1]
    camera = spec.worldbody.add_camera(name="eye", fovy=math.degrees(2 * math.atan(tan_y)))
    camera.pos = [0, 1.5, 0]
    model = spec.compile()
    data = lib.MjData(model)
    lib.mj_forward(model, data)
    renderer = lib.Renderer(model, height, width)
    geom_owner = numbers.astype(np.int32)

    def draw(eye: F32, axes: F32) -> tuple[NDArray[np.uint8], F32, I32]:
        data.cam_xpos[0] = eye
        data.cam_xmat[0] = np.stack([axes[0], axes[1], -axes[2]], 1).ravel()
        renderer.disable_depth_rendering()
        renderer.disable_segmentation_rendering()
        renderer.update_scene(data, camera=0)
        rgb = renderer.render()
        renderer.enable_depth_rendering()
        depth = renderer.render()
        renderer.disable_depth_rendering()
        renderer.enable_segmentation_rendering()
        geom = renderer.render()[..., 0]
        return rgb, depth, np.where(geom < 0, 0, geom_owner[geom])

    return draw


def moderngl(positions: F32, faces: I32, owner: I32, width: int, height: int) -> Draw:
    """One pass with three targets and a headlight: no textures, no shadows."""
    os.environ.setdefault("LP_NUM_THREADS", "0")
    lib = importlib.import_module("moderngl")
    context = lib.create_standalone_context(backend="egl")
    program = context.program(
        vertex_shader="""#version 330
        uniform vec3 eye; uniform mat3 axes; uniform vec2 scale; uniform vec2 range;
        in vec3 at; in int own; flat out int id; out vec3 local;
        void main() {
            local = (at - eye) * axes; id = own;
            float z = local.z, deep = range.y - range.x;
            float a = (range.y + range.x) / deep, b = 2 * range.x * range.y / deep;
            gl_Position = vec4(local.xy * scale, a * z - b, z);
        }""",
        fragment_shader="""#version 330
        flat in int id; in vec3 local; layout(location=0) out vec4 rgb; layout(location=1) out float depth;
        layout(location=2) out int own;
        void main() {
            vec3 n = normalize(cross(dFdx(local), dFdy(local)));
            rgb = vec4(vec3(0.7, 0.6, 0.5) * (0.3 + 0.7 * abs(n.z)), 1); depth = local.z; own = id;
        }""",
    )
    corners = positions[faces].reshape(-1, 3)
    own = np.repeat(owner, 3).astype(np.int32)
    array = context.vertex_array(
        program,
        [(context.buffer(corners.astype("f4").tobytes()), "3f", "at"), (context.buffer(own.tobytes()), "1i", "own")],
    )
    size = (width, height)
    targets = [context.texture(size, 3), context.texture(size, 1, dtype="f4"), context.texture(size, 1, dtype="i4")]
    frame = context.framebuffer(targets, context.depth_renderbuffer(size))
    tan_x, tan_y = _tangents(width, height)
    program["scale"].value, program["range"].value = (1 / tan_x, 1 / tan_y), (NEAR_M, FAR_M)
    context.enable(lib.DEPTH_TEST | lib.CULL_FACE)

    def draw(eye: F32, axes: F32) -> tuple[NDArray[np.uint8], F32, I32]:
        program["eye"].value = tuple(map(float, eye))
        program["axes"].write(np.ascontiguousarray(axes, "f4").tobytes())  # columns of the GL matrix are our rows
        frame.use()
        frame.clear()
        array.render()
        rgb = np.frombuffer(frame.read(None, 3, attachment=0), np.uint8).reshape(height, width, 3)
        depth = np.frombuffer(frame.read(None, 1, attachment=1, dtype="f4"), np.float32).reshape(height, width)
        ids = np.frombuffer(frame.read(None, 1, attachment=2, dtype="i4"), np.int32).reshape(height, width)
        return rgb[::-1], depth[::-1], ids[::-1]

    return draw


@functools.cache
def _pyrender_window() -> Any:
    """One window for all sizes: creating a second one destroys the GL context of the first."""
    return importlib.import_module("pyrender").OffscreenRenderer(64, 64)


def pyrender(positions: F32, faces: I32, owner: I32, width: int, height: int) -> Draw:
    """Colour and depth in one pass, ids in a second one."""
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")
    if not hasattr(np, "infty"):  # pyrender 0.1.45 uses np.infty, which NumPy 2 removed
        np.infty = np.inf  # type: ignore[attr-defined]
    lib, trimesh = importlib.import_module("pyrender"), importlib.import_module("trimesh")
    scene, colors = lib.Scene(ambient_light=[0.3] * 3), {}
    for number in np.unique(owner):
        own = trimesh.Trimesh(positions, faces[owner == number], process=False)
        own.remove_unreferenced_vertices()
        node = scene.add(lib.Mesh.from_trimesh(own, smooth=False))
        colors[node] = (int(number) + 1 & 255, int(number) + 1 >> 8, 0)
    camera = scene.add(lib.PerspectiveCamera(2 * math.atan(_tangents(width, height)[1]), NEAR_M, FAR_M, width / height))
    scene.add(
        lib.PointLight(intensity=20.0), pose=np.array([[1, 0, 0, 0], [0, 1, 0, 2.3], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    )
    renderer = _pyrender_window()
    renderer.viewport_width, renderer.viewport_height = width, height

    def draw(eye: F32, axes: F32) -> tuple[NDArray[np.uint8], F32, I32]:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = np.stack([axes[0], axes[1], -axes[2]], 1), eye
        scene.set_pose(camera, pose)
        rgb, depth = renderer.render(scene)
        flat, _ = renderer.render(scene, lib.RenderFlags.SEG, seg_node_map=colors)
        code = flat[..., 0].astype(np.int32) + flat[..., 1].astype(np.int32) * 256
        return rgb, depth, np.maximum(code - 1, 0)

    return draw


def pybullet(positions: F32, faces: I32, owner: I32, width: int, height: int) -> Draw:
    """Its software renderer, with shadows."""
    lib = importlib.import_module("pybullet")
    client = lib.connect(lib.DIRECT)
    numbers = {}
    for number in np.unique(owner):
        used, local = np.unique(faces[owner == number], return_inverse=True)
        shape = lib.createVisualShape(
            lib.GEOM_MESH, vertices=positions[used].tolist(), indices=local.ravel().tolist(),
            rgbaColor=[0.7, 0.6, 0.5, 1], physicsClientId=client,
        )  # fmt: skip
        numbers[lib.createMultiBody(0, -1, shape, physicsClientId=client)] = int(number)
    lookup = np.array([numbers[k] for k in sorted(numbers)], np.int32)
    tan_y = _tangents(width, height)[1]
    projection = lib.computeProjectionMatrixFOV(math.degrees(2 * math.atan(tan_y)), width / height, NEAR_M, FAR_M)

    def draw(eye: F32, axes: F32) -> tuple[NDArray[np.uint8], F32, I32]:
        view = lib.computeViewMatrix(eye.tolist(), (eye + axes[2]).tolist(), axes[1].tolist())
        _, _, rgba, depth, seen = lib.getCameraImage(
            width, height, view, projection, renderer=lib.ER_TINY_RENDERER, physicsClientId=client
        )
        seen = np.reshape(seen, (height, width))
        z = FAR_M * NEAR_M / (FAR_M - (FAR_M - NEAR_M) * np.reshape(depth, (height, width)))
        return (
            np.reshape(rgba, (height, width, 4))[..., :3].astype(np.uint8),
            z.astype(np.float32),
            np.where(seen < 0, 0, lookup[seen]).astype(np.int32),
        )

    return draw


PEERS: dict[str, Callable[[F32, I32, I32, int, int], Draw]] = {
    "embree": embree,
    "mujoco": mujoco,
    "moderngl": moderngl,
    "pyrender": pyrender,
    "pybullet": pybullet,
}
MODULES = {"embree": "embreex"}  # import name, if it differs from the peer's name
