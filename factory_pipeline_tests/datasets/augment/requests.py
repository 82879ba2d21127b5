"""What may be asked for: the example of the documentation, every switch and every range."""

EXAMPLE = {
    "IMAGE_LEVEL": [
        {
            "id": "FLIP_IMAGE",
            "properties": [
                {"id": "FLIP_HORIZONTAL", "values": [False]},
                {"id": "FLIP_VERTICAL", "values": [True]},
            ],
        },
        {"id": "IMAGE_ROTATION", "properties": [{"id": "PERCENTAGE_SCALE", "values": [-10, 30]}]},
        {
            "id": "GRAYSCALE",
            "description": "",
            "isSelected": True,
            "properties": [{"id": "GRAYSCALE_PERCENTAGE", "values": [5, 10]}],
        },
    ]
}
SWITCHES = [
    ("FLIP_IMAGE", "FLIP_HORIZONTAL"),
    ("FLIP_IMAGE", "FLIP_VERTICAL"),
    ("NINETY_ROTATION", "CLOCKWISE"),
    ("NINETY_ROTATION", "COUNTER_CLOCKWISE"),
    ("NINETY_ROTATION", "UPSIDE_DOWN"),
]
RANGES = [
    ("IMAGE_ROTATION", "PERCENTAGE_SCALE", -360, 360),
    ("IMAGE_BLUR", "BLUR", 0, 15),
    ("GRAYSCALE", "GRAYSCALE_PERCENTAGE", 0, 100),
    ("HUE", "HUE_DEGREES", -50, 50),
    ("SATURATION", "SATURATION_DEGREES", -50, 50),
    ("BRIGHTNESS", "BRIGHTNESS_DEGREES", -50, 50),
    ("NOISE", "NOISE_PERCENTAGE", 0, 100),
    ("SHEAR", "SHEAR_HORIZONTAL", -40, 40),
    ("SHEAR", "SHEAR_VERTICAL", -40, 40),
    ("CROP", "CROP_PERCENTAGE", 0, 100),
]
